"""Walks a WorkflowTemplate as Argo Workflows' controller does, as far as this project's use of it goes.

It starts each step's command where the test says, and is strict: a reference that nothing fills, an output whose file a
command did not write, an argument that a template does not declare fail the walk.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCE = re.compile(r"\{\{(.+?)\}\}")
PARAMETER = re.compile(r"(tasks|steps)\.(\w+)\.outputs\.parameters\.(\w+)")
# A container's command with its arguments, and its variables; the exit code.
Start = Callable[[list[str], dict[str, str]], int]


@dataclass
class Walk:
    """One workflow.

    Attributes:
        template: the WorkflowTemplate.
        name: the workflow's.
        start: runs a container.
        folder: stands for the containers' file systems: its `workspace` for the claim, its `tmp` for /tmp.
        parameters: other values than the template's, as a person submits them.
    """

    template: dict[str, Any]
    name: str
    start: Start
    folder: Path
    parameters: dict[str, str] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self) -> str:
        """Run it with its exit handler; Succeeded or Failed."""
        spec = self.template["spec"]
        declared = {each["name"]: each["value"] for each in spec["arguments"]["parameters"]}
        assert set(self.parameters) <= set(declared), "a parameter that the template does not declare"
        self._values = {f"workflow.parameters.{name}": value for name, value in (declared | self.parameters).items()}
        listed = [{"name": name, "value": value} for name, value in (declared | self.parameters).items()]
        self._values |= {"workflow.name": self.name, "workflow.parameters.json": json.dumps(listed)}
        self._templates = {each["name"]: each for each in spec["templates"]}
        for task in self._templates[spec["entrypoint"]]["dag"]["tasks"]:
            if not self._depends(task):
                self.phases[task["name"]] = "Omitted"
            else:
                self._task(task)
        status = "Failed" if "Failed" in self.phases.values() else "Succeeded"
        # As the controller tells them: also each try that failed, by a name of its own, and quoted as a text.
        failed = [{"displayName": name} for name, phase in self.phases.items() if phase == "Failed"]
        failed += [{"displayName": f"{name}(0)"} for name, tries in self.tries.items() if tries > 1]
        self._values |= {"workflow.status": status, "workflow.failures": json.dumps(json.dumps(failed or None))}
        for task in self._templates[spec["onExit"]]["dag"]["tasks"]:
            assert self._depends(task), f"{task['name']} is left out at the end"
            self._task(task)
        return status

    def _depends(self, task: dict[str, Any]) -> bool:
        wanted = [each.split(".") for each in task.get("depends", "").split(" || ") if each]
        return not wanted or any(self.phases[name] == phase for name, phase in wanted)

    def _task(self, task: dict[str, Any]) -> None:
        name, template = task["name"], self._templates[task["template"]]
        if "when" in task:
            left, operator, right = self._filled(task["when"]).split()
            assert operator in ("==", "!=")
            if (left == right) != (operator == "=="):
                self.phases[name] = "Skipped"
                return
        given = {each["name"]: self._filled(each["value"]) for each in task.get("arguments", {}).get("parameters", [])}
        declared = {each["name"] for each in template.get("inputs", {}).get("parameters", [])}
        assert set(given) == declared, f"{name} declares {declared} and is given {set(given)}"
        inputs = {f"inputs.parameters.{key}": value for key, value in given.items()}
        container = template["container"]
        command = [self._placed(self._filled(each, inputs)) for each in (*container["command"], *container["args"])]
        variables = {each["name"]: self._filled(each["value"], inputs) for each in container.get("env", [])}
        self.phases[name] = "Succeeded" if self._started(name, template, command, variables) == 0 else "Failed"
        if self.phases[name] == "Succeeded":
            found = template.get("outputs", {}).get("parameters", [])
            self.outputs[name] = {each["name"]: self._read(each["valueFrom"]["path"]) for each in found}

    def _started(self, name: str, template: dict[str, Any], command: list[str], variables: dict[str, str]) -> int:
        retries = template["retryStrategy"]
        assert (retries["retryPolicy"], retries["expression"]) == ("Always", "asInt(lastRetry.exitCode) != 2")
        for number in range(int(retries["limit"]) + 1):
            # Each container has a file system of its own.
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)
            self.tries[name] = number + 1
            code = self.start(command, variables)
            if code in (0, 2):
                break
        return code

    def _filled(self, text: str, inputs: dict[str, str] | None = None) -> str:
        """A text without references; one that nothing fills is a mistake of the template's."""

        def value(found: re.Match[str]) -> str:
            known = self._values | (inputs or {})
            if found[1] in known:
                return known[found[1]]
            reference = PARAMETER.fullmatch(found[1])
            assert reference, f"{found[0]}: nothing fills it"
            return self.outputs[reference[2]][reference[3]]

        return REFERENCE.sub(value, text)

    def _placed(self, text: str) -> str:
        """A path in a container as it is on this machine."""
        return re.sub(r"(?<==)/(workspace|tmp)\b", lambda found: f"{self.folder}/{found[1]}", text)

    def _read(self, path: str) -> str:
        return (self.folder / path.lstrip("/")).read_text()
