"""The Python tasks after a rollout, which both DAGs have: the proof by the server itself, and the alias."""

from __future__ import annotations

import logging

from airflow.sdk import task

from lifecycle.assets import RELEASED
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.pin import Pin, VersionDict
from lifecycle.model.results import RolledOut, ServedVersion
from lifecycle.tasks import context, proof, released
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on

log = logging.getLogger(__name__)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks Triton which version answers, and whether its boxes are right.",
)
def verify_serving(pin: VersionDict) -> ServedVersion:
    """Prove that the version answers; leave the reason for `restore` if it does not."""
    with handed_on(context.task_instance()):
        return proof.prove(context.target(), Pin.from_xcom(pin))


@task(
    execution_timeout=QUICK,
    outlets=[RELEASED],
    doc_md="Moves the alias `champion` to the version that answers, and updates the registered model's asset.",
)
def set_champion(registered_model: str, pin: VersionDict, rolled: RolledOut) -> None:
    """Move the alias to the version that was proved live."""
    number, environment = Pin.from_xcom(pin).number, context.target().environment
    with MlflowHook.from_settings().session() as client:
        versions.set_champion(client, registered_model, number, commit=rolled["commit"], environment=environment)
    log.info("%s@%s is version %s", registered_model, names.CHAMPION, number)
    released.announce(registered_model, Pin.from_xcom(pin), rolled["commit"])
