"""The tasks of a candidate, as a pipeline's DAG takes them between `register` and `promote`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import TriggerRule

from lifecycle import params
from lifecycle.model.names import DISCARD_CANDIDATE, WAIT_FOR_CANDIDATE
from lifecycle.model.results import Proof
from lifecycle.operators.discard import DiscardCandidateOperator
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.tasks.candidate import commit_candidate, prove_candidate


def candidate_tasks(
    proof: Proof,
    registered: Any,
    promoted: Any,
    *,
    delivery: str = "",
    target: Mapping[str, Any] = params.TARGET,
    registered_model: str = "{{ params.registered_model }}",
    promotion: Any = None,
    skips: bool = True,
) -> list[Any]:
    """What goes before `promote`, in its order; nothing with `proof: after`.

    A candidate that fails is taken away by `discard_candidate`, which is wired here.

    Args:
        proof: of the stage.
        registered: the task `register`, of which this takes the version.
        promoted: the task `promote`, which moves the pin and takes the candidate away in one commit.
        delivery: how the stage has its commits delivered; empty: as the setting says.
        target: the stage's entry, as operators take it.
        registered_model: MLflow's; templated.
        promotion: the task `choose_promotion` of a stage after the first.
        skips: see `commit_candidate`.
    """
    if proof == "after":
        return []
    tried: Any = commit_candidate(registered, delivery, promotion, skips=skips)
    rollout = ApplicationRolloutSensor(
        task_id=WAIT_FOR_CANDIDATE,
        **target,
        candidate=True,
        delivery=delivery,
        commit=tried["commit"],
        version=registered["version"],
        code_commit=tried["code_commit"],
        request_url=tried["request_url"],
        doc_md="Waits, holding no worker, until Argo CD reports the candidate healthy beside the live version.",
    )
    proved = prove_candidate.override(retries=4)(tried, promotion)
    discard = DiscardCandidateOperator(
        task_id=DISCARD_CANDIDATE,
        **target,
        registered_model=registered_model,
        delivery=delivery,
        trigger_rule=TriggerRule.ONE_FAILED,
    )
    [rollout, proved, promoted] >> discard
    return [tried, rollout, proved]
