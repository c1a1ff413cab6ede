"""The steps that are no pod of the trainer: what each is given, and which function of `lifecycle.steps` it is.

The first, `open`, is told the pipeline and the run's parameters; each other one reads what those before it left.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lifecycle.catalog import stages_of
from lifecycle.cli.results import Result, Results
from lifecycle.errors import BadParameter, LifecycleError
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, GateDecision, LifecycleParams, OpenedRun
from lifecycle.model.target import Target
from lifecycle.pipelines.files import parse_text
from lifecycle.policy.outcome import outcome
from lifecycle.run_params import run_params
from lifecycle.settings import settings
from lifecycle.steps import changes, closing, handoff, judging, live, opening, proof, rollout
from lifecycle.steps.restoring import Restore, on_the_branch

RUN = "run"  # the file that holds what `open` was told


@dataclass(frozen=True)
class Done:
    """What a step returned.

    Attributes:
        value: for the steps after it.
        skipped: why what follows has nothing to do; empty: it has.
        outputs: files for whoever wires the steps, by their names.
    """

    value: Mapping[str, Any]
    skipped: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What `open` was told of the run."""

    params: LifecycleParams
    name: str
    run_id: str
    page: str
    delivery: str
    stages: Any

    @classmethod
    def of(cls, results: Results) -> Told:
        """As `open` kept it."""
        return cls(**results.of(RUN))

    @property
    def dag_run(self) -> str:
        """As commits name the run."""
        return f"{self.name}/{self.run_id}"

    @property
    def target(self) -> Target:
        """Where it goes."""
        return Target.of(self.params)


def open_(results: Results, options: argparse.Namespace) -> Done:
    """Check the parameters and the target, and open the MLflow run."""
    name, _, run_id = options.run.partition("/")
    if not name or not run_id:
        raise BadParameter(f"--run is {options.run!r}; give <pipeline>/<run>, such as digits/digits-7xk2p.")
    pipeline = parse_text(options.pipeline, name)
    told = {
        "params": run_params(pipeline, parameters(options.params)),
        "name": name,
        "run_id": run_id,
        "page": options.page,
        "delivery": pipeline.stages[0].delivery or "",
        "stages": stages_of([pipeline]),
    }
    results.keep(RUN, Result("success", told))
    params = cast(LifecycleParams, told["params"])
    opened = opening.open_run(params, (name, run_id), task=pipeline.task, page=options.page)
    version = opened["live"]["version"]
    outputs = {"run_id": opened["run_id"], "live_version": "" if version is None else str(version)}
    return Done(opened, outputs=outputs)


def parameters(text: str) -> dict[str, Any]:
    """Parameters as an object, or as Argo Workflows lists them (`workflow.parameters.json`).

    Raises:
        BadParameter: the text is neither.
    """
    try:
        found = json.loads(text or "{}")
        return found if isinstance(found, dict) else {each["name"]: each["value"] for each in found}
    except (ValueError, TypeError, KeyError) as error:
        raise BadParameter(
            f'--params is {text[:200]!r}; give a JSON object, or a list of {{"name": …, "value": …}}: {error}'
        ) from error


def changes_(results: Results, options: argparse.Namespace) -> Done:
    """Compare data, weights, settings and image with the live version's."""
    found = changes.find_changes(Told.of(results).params, _opened(results), options.image or settings().trainer_image)
    return Done(found, skipped=found["skipped"])


def gate(results: Results, options: argparse.Namespace) -> Done:
    """Compare what was measured with what was asked."""
    decision = judging.judge(Told.of(results).params, _opened(results))
    return Done(decision, skipped="" if decision["passed"] else decision["reason"])


def register(results: Results, options: argparse.Namespace) -> Done:
    """Register the version in MLflow, once per run."""
    told = Told.of(results)
    registered = judging.register(told.params, _opened(results), page=told.page)
    return Done(registered, outputs={"version": str(registered["version"])})


def promote(results: Results, options: argparse.Namespace) -> Done:
    """Write the version's pin into git: one commit."""
    told, decision = Told.of(results), cast(GateDecision, results.of("gate"))
    made = handoff.promote(
        told.target,
        told.params["registered_model"],
        results.of("register"),
        dag_run=told.dag_run,
        classes=decision["classes"],
        delivery=told.delivery,
    )
    if made["outcome"] in handoff.CONTINUES:
        return Done(made, outputs={"commit": made["commit"] or ""})
    return Done(made, skipped=f"Nothing was committed ({made['outcome']}): {made['detail']}")


def wait(results: Results, options: argparse.Namespace) -> Done:
    """Wait until Argo CD has rolled the commit out."""
    told, promoted = Told.of(results), cast(DeliveredCommit, results.of("promote"))
    commit = promoted["commit"]
    if promoted["request_url"]:
        commit = rollout.wait_merged(promoted["request_url"], delivery=told.delivery)
    if commit is None:
        raise BadParameter("The step promote left no commit to wait for.")
    # Also where the rollout then fails: `restore` takes this one back.
    results.keep(names.COMMIT_KEY, Result("success", {"commit": commit}))
    pin = Pin.from_xcom(promoted["pin"])
    deadline = time.time() + settings().rollout_timeout
    try:
        rolled = rollout.wait(rollout.Awaited(told.target, pin.number, pin.code_commit, [commit], [], deadline))
    except rollout.Superseded as newer:
        return Done({"commit": commit}, skipped=str(newer))
    return Done(rolled, outputs={"commit": rolled["commit"]})


def verify(results: Results, options: argparse.Namespace) -> Done:
    """Ask the server itself which version answers, and whether its boxes are right."""
    served = proof.prove(Told.of(results).target, Pin.from_xcom(results.of("promote")["pin"]))
    return Done(served, outputs={"url": served["url"], "grpc_url": served["grpc_url"]})


def champion(results: Results, options: argparse.Namespace) -> Done:
    """Move the environment's alias, in the last stage `champion` too, to the version that answers."""
    told = Told.of(results)
    model = told.params["registered_model"]
    aliases = live.set_alias(model, results.of("verify"), results.of("wait"), told.stages, told.target)
    return Done({"aliases": aliases})


def restore(results: Results, options: argparse.Namespace) -> Done:
    """Take back what was committed and then not proved live; nothing, where nothing was."""
    found = {step: results.find(step) for step in ("promote", "wait", "verify")}
    promoted, waited, verified = found["promote"], found["wait"], found["verify"]
    merged = results.find(names.COMMIT_KEY)
    ours = on_the_branch(
        cast(DeliveredCommit, promoted.value) if promoted and promoted.state == "success" else None,
        merged.value["commit"] if merged else None,
    )
    if ours is None:
        return Done({}, skipped="This run changed nothing on the branch, so there is nothing to take back.")
    if verified and verified.state == "success":
        return Done({}, skipped="The version was proved live, so nothing is taken back.")
    if waited and waited.state == "skipped":
        return Done({}, skipped=waited.said)
    told = Told.of(results)
    said = [each.said for each in (waited, verified) if each and each.state == "failed"]
    Restore(
        told.target,
        told.params["registered_model"],
        ours,
        dag_run=told.dag_run,
        why=said[-1] if said else "",
        delivery=told.delivery,
    ).run()


def close(results: Results, options: argparse.Namespace) -> Done:
    """End the MLflow run as the run itself ended; a failure is told, and is none of this step's."""
    opened = results.find("open")
    ended = outcome(states(results, failures(options.failures)))
    if opened and opened.state == "success":
        closing.close_run(cast(OpenedRun, opened.value), ended)
    return Done({"status": ended.status, "outcome": ended.text})


def failures(text: str) -> list[str]:
    """The steps that failed, from their names, or as Argo Workflows lists them (`workflow.failures`)."""
    try:
        # Argo Workflows gives the list as a JSON text of a JSON text.
        found = json.loads(text or "[]")
        found = json.loads(found) if isinstance(found, str) else found
        # A try that failed is train(0), and the step that failed after all of them is train.
        return [each if isinstance(each, str) else str(each["displayName"]) for each in found or []]
    except (ValueError, TypeError, KeyError) as error:
        raise BadParameter(f"--failures is {text[:200]!r}; give a JSON list of steps: {error}") from error


def states(results: Results, failed: list[str]) -> dict[str, str | None]:
    """The states of all steps by the ids of the DAG's tasks, as Airflow would tell them.

    A step that left no result failed where its name is among `failed`; else the run ended before it.
    """
    found: dict[str, str | None] = {}
    for step, task in TASKS.items():
        result = results.find(step)
        if step in failed or (result and result.state == "failed"):
            found[task] = "failed"
        elif step in TRAINER_STEPS:
            found[task] = "success"
        elif result and result.state == "skipped" and step == "gate":
            found[task] = "success"  # it is the tasks after the gate that Airflow skips
        else:
            found[task] = result.state if result else "skipped"
    return found


def _opened(results: Results) -> OpenedRun:
    return cast(OpenedRun, results.of("open"))


TRAINER_STEPS = ("prepare", "train", "evaluate")
# In their order; the ids of the DAG's tasks.
TASKS = {
    "open": names.OPEN_RUN,
    "prepare": "prepare",
    "changes": names.FIND_CHANGES,
    "train": "train",
    "evaluate": "evaluate",
    "gate": names.GATE_TASK,
    "register": names.REGISTER,
    "promote": names.PROMOTE,
    "wait": names.WAIT_FOR_ROLLOUT,
    "verify": names.VERIFY_SERVING,
    "champion": names.SET_ALIAS,
    "restore": names.RESTORE,
}
Step = Callable[[Results, argparse.Namespace], Done]
STEPS: dict[str, Step] = {
    "open": open_,
    "changes": changes_,
    "gate": gate,
    "register": register,
    "promote": promote,
    "wait": wait,
    "verify": verify,
    "champion": champion,
    "restore": restore,
    "close": close,
}


def run(step: str, results: Results, options: argparse.Namespace) -> Done:
    """Run a step and keep how it ended.

    Raises:
        LifecycleError: it failed; what it said is kept, for `restore` and `close` to tell.
    """
    try:
        done = STEPS[step](results, options)
    except LifecycleError as error:
        results.keep(step, Result("failed", said=str(error)))
        raise
    results.keep(step, Result("skipped" if done.skipped else "success", dict(done.value), done.skipped))
    return done
