"""What a Deployment's status means for a candidate, with statuses as the deployment controller writes them."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.application import State, Verdict
from lifecycle.policy.deployment import judge_deployment

UP = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
NAME = "the Deployment detector-digits-candidate"


def deployment(version: int = 7, **status: Any) -> dict[str, Any]:
    labels = {"yolo-lifecycle/model-version": str(version)}
    return {
        "metadata": {"name": "detector-digits-candidate", "generation": 2},
        "spec": {"replicas": 1, "template": {"metadata": {"labels": labels}}},
        "status": status,
    }


def condition(kind: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "reason": reason, "message": message, "status": "False"}]}


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        ([], State.WAITING, "synced, and version 7 has no Deployment yet"),
        ([deployment(6, **UP)], State.WAITING, "synced, and version 7 has no Deployment yet"),
        ([deployment()], State.WAITING, f"synced, and {NAME} was not looked at yet"),
        (
            [deployment(**{**UP, "observedGeneration": 1})],
            State.WAITING,
            f"synced, and {NAME} was not looked at yet",
        ),
        ([deployment(**UP)], State.READY, f"synced, and {NAME} is healthy"),
        (
            [deployment(**{**UP, "availableReplicas": 0})],
            State.WAITING,
            f"synced, and {NAME} has 0 of 1 pods available",
        ),
        # The pod of an older candidate is still ending.
        ([deployment(**{**UP, "replicas": 2})], State.WAITING, f"synced, and {NAME} has 1 of 1 pods available"),
        (
            [deployment(observedGeneration=2, **condition("ReplicaFailure", "FailedCreate", "exceeded  quota: gpus"))],
            State.WAITING,
            f"synced, and {NAME} has 0 of 1 pods available: exceeded quota: gpus",
        ),
        (
            [deployment(observedGeneration=2, **condition("Progressing", "ProgressDeadlineExceeded"))],
            State.FAILED,
            'Deployment "detector-digits-candidate" exceeded its progress deadline',
        ),
    ],
)
def test_only_a_candidate_that_is_up_is_ready(found: list[dict[str, Any]], state: State, said: str) -> None:
    assert judge_deployment(found, 7, "c1") == Verdict(state, said, "c1")
