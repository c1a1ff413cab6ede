"""The Python tasks of `yolo_rollback` up to the commit: find the version to go back to, and put it into git."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import task

from lifecycle.errors import BadParameter
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import ChosenVersion, DeliveredCommit
from lifecycle.tasks import context, handoff
from lifecycle.tasks.defaults import QUICK

if TYPE_CHECKING:
    from lifecycle.gitops import PinnedModel
    from lifecycle.model.target import Target

log = logging.getLogger(__name__)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Finds the version in git's history or in MLflow; refuses one that is not there.",
)
def choose_version() -> ChosenVersion:
    """Find the version that shall be live again.

    Raises:
        BadParameter: there is no such version (the message lists those that there are), or no former one.
    """
    target = context.target()
    pinned, commit = repository().read(target.environment, target.app, target.model)
    number = context.rollback_params()["version"] or _former(target, pinned)
    with MlflowHook.from_settings().session() as client:
        version = versions.existing(client, pinned.registered_model, number)
        pin = versions.pin_of(version)
    log.info("At %s, %s is pinned; going back to version %d", commit, pinned.pin, number)
    return {**pin.version_xcom(), "registered_model": pinned.registered_model, "live": pinned.pin.xcom()}


def _former(target: Target, pinned: PinnedModel) -> int:
    """The version that was live before the one that is pinned now, out of git's history."""
    for revision in repository().history(target.environment, target.app, target.model):
        former = revision.model
        other_model = former.registered_model != pinned.registered_model
        if former.pin.version not in (None, pinned.pin.version) and not other_model:
            return former.pin.number
    raise BadParameter(
        f"The history of {target.environment}/{target.app} names no version of {target.model} before the present one "
        f"(version {pinned.pin.version} of {pinned.registered_model}). Name the version to go back to."
    )


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes version, sha256 and run id, and hold if wanted: one commit.",
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
    )
    return handoff.described(handoff.deliver(wanted), pin)
