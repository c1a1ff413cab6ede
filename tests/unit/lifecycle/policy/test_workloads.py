"""What Deployments and Rollouts say of a rollout that stands still."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.workloads import workload_troubles


def deployment(kind: str = "Deployment", **status: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "detector-digits"}, "status": status}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


OVERDUE = condition("Progressing", "False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.")
QUOTA = condition("ReplicaFailure", "True", "FailedCreate", "pods is forbidden: exceeded quota: team")
RUNS = condition("Progressing", "True", "ReplicaSetUpdated", "is progressing")


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (
            deployment(conditions=[OVERDUE]),
            "Deployment detector-digits: ProgressDeadlineExceeded: ReplicaSet has timed out progressing.",
        ),
        (
            deployment(conditions=[RUNS, QUOTA]),
            "Deployment detector-digits: FailedCreate: pods is forbidden: exceeded quota: team",
        ),
        (
            deployment("Rollout", phase="Degraded", message="RolloutAborted: failures", conditions=[RUNS]),
            "Rollout detector-digits: RolloutAborted: failures",
        ),
        (deployment(conditions=[RUNS]), ""),
        (deployment(), ""),
    ],
)
def test_a_workload_says_why(workload: dict[str, Any], said: str) -> None:
    assert workload_troubles([workload]) == said
