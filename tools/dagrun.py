"""Follow a run of a pipeline to its end, and say in a sentence what decided it.

The sandbox's demo and the cluster's use it alike.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.rest import Airflow, Mlflow

DAG = "digits"  # the demo: dags/pipelines/digits.yaml
LAST = "set_alias"
CLOSE = "close_run"
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
SHOWN = {"running", "deferred", "awaiting_input", "up_for_retry", *ENDED}
LIVE, FAILED, REJECTED = 0, 1, 3  # exit codes; the last also where there was nothing to train
STAYS = "The new version is not live; what was live before still is."
RUN_EVERY = 5  # questions about the tasks for one about the run
PARAGRAPH = 15  # the most lines of a log that are shown

Say = Callable[[str], None]
Tasks = list[dict[str, Any]]


def parameters(variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The run's parameters beside the DAG's own defaults: JSON in DEMO_PARAMS.

    Raises:
        ValueError: it is not a JSON object.
    """
    text = variables.get("DEMO_PARAMS") or "{}"
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"DEMO_PARAMS is not JSON ({error}): {text}") from error
    if not isinstance(found, dict):
        raise ValueError(f'DEMO_PARAMS must be a JSON object such as {{"epochs": 4}}, not {text}.')
    return found


def succeeded(tasks: Tasks, name: str) -> bool:
    """Whether a task of the run succeeded."""
    return any(task["task_id"] == name and task["state"] == "success" for task in tasks)


class Progress:
    """Says a line when a task changes its state and, while training and with an MLflow to ask, a line an epoch."""

    def __init__(self, say: Say, mlflow: Mlflow | None = None) -> None:
        self._say = say
        self._mlflow = mlflow
        self._states: dict[str, str] = {}
        self._epochs = 0
        self._start = time.monotonic()
        self._news = False

    def news(self) -> bool:
        """Whether the run was heard of since this was asked last."""
        news, self._news = self._news, False
        return news

    def show(self, tasks: Tasks, mlflow_run: str | None = None) -> None:
        """Say what changed since the last call."""
        self._news = True
        for task in tasks:
            name, state = task["task_id"], task["state"] or "waiting"
            if name == "train" and mlflow_run and self._states.get(name) == "running":
                self._show_epochs(mlflow_run)
            if state in SHOWN and self._states.get(name) != state:
                self._states[name] = state
                seconds = f"{task['duration']:6.1f} s" if state in ENDED and task["duration"] else ""
                retry = f" (try {task['try_number']})" if (task["try_number"] or 1) > 1 else ""
                self._line(f"{name:<18} {state:<16}{seconds}{retry}".rstrip())

    def _show_epochs(self, run: str) -> None:
        if self._mlflow is None:
            return
        total = int(self._mlflow.run(run)["metrics"].get("epochs_total", 0))
        for step, value in self._mlflow.history(run, "val/mAP50"):
            if step > self._epochs:
                self._epochs = step
                self._line(f"  epoch {step}/{total or '?'}   validation mAP50 {value:.3f}")

    def _line(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        self._say(f"{minutes:02d}:{seconds:02d}  {text}")


def follow(airflow: Airflow, run: str, progress: Progress, interval: float = 2.0) -> Tasks:
    """Show the run's progress until it has ended; its tasks then.

    Each question costs Airflow's API server some 50 ms, on a small machine at the expense of the training.
    """
    mlflow_run: str | None = None
    number, over = 0, False
    while True:
        # A run ends after its tasks, or before them by a person or its time limit, which may be told later.
        # Asked before the tasks, so that a run that has ended is not left with the states of a moment before.
        ended = (over or number % RUN_EVERY == 0) and airflow.state(run) in ("success", "failed")
        tasks = airflow.tasks(run)
        number, over = number + 1, all(task["state"] in ENDED for task in tasks)
        if mlflow_run is None and succeeded(tasks, "open_run"):
            mlflow_run = (airflow.xcom(run, "open_run") or {}).get("run_id")
        progress.show(tasks, mlflow_run)
        if ended:
            return tasks
        time.sleep(min(interval, 0.5) if over else interval)


@dataclass(frozen=True)
class Ending:
    """How a run ended: its exit code, and the sentence of the task that decided it."""

    code: int
    said: str


def ending(airflow: Airflow, run: str, tasks: Tasks) -> Ending:
    """Whether the run's version is live; if not, the sentence of the task that decided it, and no other's."""
    # `restore` fails after the others and tells both what failed and what was done; `close_run` only repeats that.
    failed = [task for task in tasks if task["state"] == "failed" and task["task_id"] != CLOSE]
    if succeeded(tasks, LAST) and failed:
        said = f"{failed[-1]['task_id']} failed: {_sentence(airflow, run, failed[-1])}"
        return Ending(FAILED, f"{said}\nThe new version is live in the first stage only.")
    if succeeded(tasks, LAST):
        return Ending(LIVE, "The new version is live.")
    decision = airflow.xcom(run, "gate", "decision") if succeeded(tasks, "gate") else None
    if decision and not decision["passed"]:
        return Ending(REJECTED, f"gate rejected the candidate: {decision['reason']}.\n{decision['table']}\n{STAYS}")
    if failed:
        return Ending(FAILED, f"{failed[-1]['task_id']} failed: {_sentence(airflow, run, failed[-1])}\n{STAYS}")
    stopped = next((task for task in tasks if task["state"] == "skipped" and task["start_date"]), None)
    if stopped and (reason := airflow.xcom(run, stopped["task_id"], "reason")):
        return Ending(REJECTED, f"{stopped['task_id']} stopped: {reason}")
    if stopped:
        return Ending(REJECTED, f"{stopped['task_id']} stopped: {_sentence(airflow, run, stopped)}\n{STAYS}")
    return Ending(FAILED, f"The run ended before {LAST}; look at it in Airflow.\n{STAYS}")


def _sentence(airflow: Airflow, run: str, task: dict[str, Any]) -> str:
    """A task's last words: the trainer's paragraph, else the error that ended it, else the end of its log."""
    lines = [line.strip() for line in airflow.log(run, task)]
    lines = [line for line in lines if line and not line.startswith(("::group::", "::endgroup::"))]
    said = [line for line in lines if "ERROR: " in line]
    if said:
        return said[-1].split("ERROR: ", 1)[1]
    errors = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception", *ERRORS))]
    return errors[-1] if errors else "\n    ".join(["the end of its log:", *lines[-PARAGRAPH:]])


# Names of this project's errors that do not end with Error.
ERRORS = (
    "BadParameter",
    "RolloutFailed",
    "RolloutTimeout",
    "RolloutReverted",
    "CandidateRefused",
    "PromotionRefused",
    "SoakFailed",
    "RegistryUnavailable",
)


def say(line: str) -> None:
    """One line of progress for the person who waits."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()
