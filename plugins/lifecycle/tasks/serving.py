"""The Python tasks after a rollout, which every DAG has: the proof by the server itself, and the aliases."""

from __future__ import annotations

import logging
import time

from airflow.sdk import task

from lifecycle.assets import RELEASED
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.pin import Pin, PinDict, VersionDict
from lifecycle.model.results import RolledOut, ServedVersion, StagesDict, TargetParams
from lifecycle.policy.stages import is_last
from lifecycle.tasks import context, proof, released
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on

log = logging.getLogger(__name__)


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks Triton which version answers, and whether its boxes are right.",
)
def verify_serving(pin: VersionDict | PinDict, where: TargetParams | None = None) -> ServedVersion:
    """Prove that the version answers; leave the reason for `restore` if it does not.

    Args:
        pin: the version.
        where: a stage after the first; None: where the run's params say.
    """
    with handed_on(context.task_instance()):
        return proof.prove(context.target(where), Pin.from_xcom(pin))


@task(
    task_id=names.SET_ALIAS,
    execution_timeout=QUICK,
    outlets=[RELEASED],
    doc_md="Moves the environment's alias (in the last stage `champion` too) to the version that answers, and updates "
    "the registered model's asset.",
)
def set_alias(
    registered_model: str,
    pin: VersionDict,
    rolled: RolledOut,
    stages: StagesDict,
    where: TargetParams | None = None,
) -> float:
    """Move the aliases to the version that was proved live; the time of it, in seconds since the epoch.

    `stages` tells which entry is the last of its pipeline.
    """
    number, target = Pin.from_xcom(pin).number, context.target(where)
    champion = is_last(stages, target.entry, registered_model)
    with MlflowHook.from_settings().session() as client:
        versions.set_live(
            client,
            registered_model,
            number,
            commit=rolled["commit"],
            code_commit=pin["code_commit"],
            environment=target.environment,
            champion=champion,
        )
    aliases = [target.environment, *([names.CHAMPION] if champion else [])]
    log.info("%s is version %s", ", ".join(f"{registered_model}@{alias}" for alias in aliases), number)
    released.announce(registered_model, Pin.from_xcom(pin), rolled["commit"], target)
    return time.time()
