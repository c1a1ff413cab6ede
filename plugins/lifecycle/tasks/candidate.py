"""The Python tasks of a candidate: it goes beside the live version, and proves itself where no client asks."""

from __future__ import annotations

import logging
from typing import cast

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.errors import LifecycleError, PromotionRefused
from lifecycle.hooks.kubernetes import ClusterHook
from lifecycle.model import names
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, Promotion, ProvedCandidate, RegisteredVersion, TargetParams
from lifecycle.model.target import Target
from lifecycle.settings import settings
from lifecycle.steps import candidate_proof, handoff
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.failures import handed_on

log = logging.getLogger(__name__)


@task(
    task_id=names.COMMIT_CANDIDATE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes the version beside the live one, as its candidate: one commit. No client reaches it.",
)
def commit_candidate(
    registered: RegisteredVersion, delivery: str = "", promotion: Promotion | None = None, *, skips: bool = True
) -> DeliveredCommit:
    """Commit the candidate; skip what follows if a newer version or a hold is in its way.

    Args:
        registered: the version.
        delivery: how the stage has its commits delivered; empty: as the setting says.
        promotion: what `choose_promotion` of a stage after the first returned; one with `proof: after` gets none.
        skips: whether a version that may not go live ends a pipeline's run as skipped; else it fails, for the person
            who asked.

    Raises:
        PromotionRefused: a newer version or a hold is in its way, and it does not skip.
    """
    if promotion and promotion["proof"] == "after":
        raise AirflowSkipException(f"{promotion['environment']} proves a version after it went live.")
    tried = handoff.try_candidate(
        context.target(promotion),
        _registered_model(promotion),
        registered,
        dag_run=context.dag_run_name(),
        classes=promotion["classes"] if promotion else context.class_change(),
        delivery=delivery,
        newest_code=promotion is None or promotion["source"] is None,
    )
    if tried["outcome"] in handoff.CONTINUES:
        return tried
    if skips:
        raise AirflowSkipException(f"Nothing was committed ({tried['outcome']}): {tried['detail']}")
    raise PromotionRefused(f"{tried['detail']} Nothing was committed.")


@task(
    task_id=names.PROVE_CANDIDATE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Asks the candidate's server: which version, the right boxes, how long beside the live one, what memory.",
)
def prove_candidate(tried: DeliveredCommit, where: TargetParams | None = None) -> ProvedCandidate:
    """Prove the version at the candidate's own Service; leave the reason for `discard_candidate` if it fails."""
    with handed_on(context.task_instance()):
        pin, live = Pin.from_xcom(tried["pin"]), Pin.from_xcom(tried["former"])
        return candidate_proof.prove(context.target(where), pin, live)


def own_candidate() -> DeliveredCommit | None:
    """What `commit_candidate` beside the running task returned; None: this run had no candidate."""
    ti = context.task_instance()
    committed = names.beside(ti.task_id, names.COMMIT_CANDIDATE)
    return cast(DeliveredCommit | None, ti.xcom_pull(task_ids=committed))


def take_away(delivery: str = "", promotion: Promotion | None = None) -> None:
    """Take this run's candidate away at once, if it made one: for a version that turned out not to go live."""
    tried = own_candidate()
    if tried is not None:
        target = context.target(promotion)
        handoff.discard(
            target,
            _registered_model(promotion),
            Pin.from_xcom(tried["pin"]),
            dag_run=context.dag_run_name(),
            delivery=delivery,
        )
        _refresh(target)


def _refresh(target: Target) -> None:
    """Have Argo CD look now, not within minutes: until then, the candidate's pod holds memory, perhaps a GPU."""
    try:
        ClusterHook.from_settings().request_refresh(settings().argocd_namespace, target.application)
    except LifecycleError as error:
        log.warning("Argo CD was not asked to take the candidate's pod away at once: %s", error)


def _registered_model(promotion: Promotion | None) -> str:
    return promotion["registered_model"] if promotion else context.lifecycle_params()["registered_model"]
