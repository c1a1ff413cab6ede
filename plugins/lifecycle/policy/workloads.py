"""Why a rollout stands still, in the words of Deployments and Rollouts.

Argo CD 3 leaves the health of each object out of the Application's status (`resourceHealthSource: appTree`), so the
objects themselves are asked. What is wrong before there is a pod, such as an exceeded quota, stands here alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lifecycle.policy.pods import short

# Type and status of the conditions that say what is wrong.
TROUBLES = {("Progressing", "False"), ("ReplicaFailure", "True"), ("InvalidSpec", "True")}


def workload_troubles(workloads: list[dict[str, Any]]) -> str:
    """Return one sentence a reason, or an empty string.

    Args:
        workloads: Deployments and Rollouts as the API gives them (camelCase), with their kind.
    """
    return "; ".join(sentence for workload in workloads for sentence in _troubles(workload))


def _troubles(workload: dict[str, Any]) -> Iterator[str]:
    name = f"{workload.get('kind', 'Deployment')} {workload['metadata']['name']}"
    status = workload.get("status") or {}
    for condition in status.get("conditions") or []:
        if (condition["type"], condition["status"]) in TROUBLES:
            yield f"{name}: {condition.get('reason', condition['type'])}: {short(condition.get('message', ''))}"
    if status.get("phase") == "Degraded" and status.get("message"):  # a Rollout's own
        yield f"{name}: {short(status['message'])}"
