"""The Python tasks after a rollout, which every DAG has: the proof by the server itself, and the aliases."""

from __future__ import annotations

import time

from airflow.sdk import task

from lifecycle.assets import RELEASED
from lifecycle.model import names
from lifecycle.model.pin import Pin, PinDict, VersionDict
from lifecycle.model.results import RolledOut, ServedVersion, StagesDict, TargetParams
from lifecycle.steps import live, proof
from lifecycle.tasks import context, released
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on


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
    target = context.target(where)
    live.set_alias(registered_model, pin, rolled, stages, target)
    released.announce(registered_model, Pin.from_xcom(pin), rolled["commit"], target)
    return time.time()
