"""The Python tasks of `yolo_rollback` up to the commit: find the version to go back to, and put it into git."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk import task

from lifecycle.errors import BadParameter
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import ChosenVersion, DeliveredCommit
from lifecycle.steps import handoff
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel
    from lifecycle.model.target import Target

log = logging.getLogger(__name__)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Finds the version, with the code that it was live with, in git's history or in MLflow; refuses one that is "
    "not there.",
)
def choose_version() -> ChosenVersion:
    """Find the version that shall be live again, with the code that it was live with.

    Raises:
        BadParameter: there is no such version (the message lists those that there are), or no former one.
    """
    target, params = context.target(), context.rollback_params()
    pinned, commit = repository().read(target.environment, target.app, target.model)
    held = _held(target, pinned.registered_model)
    number, code = params["version"], params["code_commit"]
    if number is None:
        former = _former(target, pinned, held)
        number, code = former.number, code or former.code_commit
    with MlflowHook.from_settings().session() as client:
        version = versions.existing(client, pinned.registered_model, number)
        pin = versions.pin_of(version)
    pin = replace(pin, code_commit=code or _code_of(pin, held) or pinned.pin.code_commit)
    log.info("At %s, %s is pinned; going back to %s", commit, pinned.pin, pin.words_with_code)
    return {**pin.version_xcom(), "registered_model": pinned.registered_model, "live": pinned.pin.xcom()}


def _held(target: Target, registered_model: str) -> list[Pin]:
    """The pins that were live, as git's history tells, newest first: without those that a run itself took back."""
    history = repository().history(target.environment, target.app, target.model)
    failed = {revision.trailers.get(names.REVERTS_TRAILER) for revision in history}
    return [
        revision.model.pin
        for revision in history
        if revision.model.registered_model == registered_model and revision.commit not in failed
    ]


def _former(target: Target, pinned: PinnedModel, held: list[Pin]) -> Pin:
    """What was live before the present pin: another version, or the same with other code."""
    for pin in held:
        other = pin.version != pinned.pin.version or pin.code_commit not in ("", pinned.pin.code_commit)
        if pin.version is not None and other:
            return pin
    raise BadParameter(
        f"The history of {target.environment}/{target.app} names no version of {target.model} before the present one "
        f"(version {pinned.pin.version} of {pinned.registered_model}). Name the version to go back to."
    )


def _code_of(pin: Pin, held: list[Pin]) -> str:
    """The code that the version was last live with here; else, as its tag in MLflow says, elsewhere."""
    here = (former.code_commit for former in held if former.version == pin.version and former.code_commit)
    return next(here, pin.code_commit)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes the pin, and hold if wanted: one commit.",
)
def roll_back(chosen: ChosenVersion) -> DeliveredCommit:
    """Write the chosen version into git, on a person's word."""
    params, pin = context.rollback_params(), Pin.from_xcom(chosen)
    reason = " ".join(params["reason"].split())
    trailers = {names.DAG_RUN_TRAILER: context.dag_run_name()}
    wanted = handoff.bump(
        context.target(),
        chosen["registered_model"],
        pin,
        kind="rollback",
        trailers={**trailers, names.REASON_TRAILER: reason} if reason else trailers,
        hold=True if params["hold"] else None,
        # Of what was live before pins named it, nobody knows the code.
        newest_code=not pin.code_commit,
    )
    return handoff.described(handoff.deliver(wanted))
