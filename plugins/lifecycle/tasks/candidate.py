"""The Python tasks of a candidate: it goes beside the live version, and proves itself where no client asks."""

from __future__ import annotations

import logging
from typing import cast

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.model import names
from lifecycle.model.pin import Pin, VersionDict
from lifecycle.model.results import DeliveredCommit, ProvedCandidate, RegisteredVersion
from lifecycle.tasks import candidate_proof, context, handoff
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on

log = logging.getLogger(__name__)


@task(
    task_id=names.COMMIT_CANDIDATE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes the version beside the live one, as its candidate: one commit. No client reaches it.",
)
def commit_candidate(registered: RegisteredVersion) -> DeliveredCommit:
    """Commit the candidate; skip what follows if a newer version or a hold is in its way."""
    wanted = context.lifecycle_params()["registered_model"]
    tried = handoff.try_candidate(
        context.target(), wanted, registered, dag_run=context.dag_run_name(), classes=context.class_change()
    )
    if tried["outcome"] not in handoff.CONTINUES:
        raise AirflowSkipException(f"Nothing was committed ({tried['outcome']}): {tried['detail']}")
    return tried


@task(
    task_id=names.PROVE_CANDIDATE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks the candidate's server: which version, the right boxes, how long beside the live one, what memory.",
)
def prove_candidate(pin: VersionDict, live: DeliveredCommit) -> ProvedCandidate:
    """Prove the version at the candidate's own Service; leave the reason for `discard_candidate` if it fails."""
    with handed_on(context.task_instance()):
        return candidate_proof.prove(context.target(), Pin.from_xcom(pin), Pin.from_xcom(live["former"]))


def take_away(registered: RegisteredVersion) -> None:
    """Take this run's candidate away, if it made one: for a version that turned out not to go live."""
    tried = cast(DeliveredCommit | None, context.task_instance().xcom_pull(task_ids=names.COMMIT_CANDIDATE))
    if tried is not None:
        wanted = context.lifecycle_params()["registered_model"]
        handoff.discard(context.target(), wanted, Pin.from_xcom(registered), dag_run=context.dag_run_name())
