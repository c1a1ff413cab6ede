"""Why an Application is not well, from objects as Kubernetes and Argo CD 3 write them."""

from __future__ import annotations

from typing import Any

from cluster.kubectl import Kubectl
from cluster.reasons import reason

LABELS = {"app": "digits"}
ENTRY = {"group": "apps", "kind": "Deployment", "namespace": "staging", "name": "detector-digits", "status": "Synced"}
CRASHED = {"exitCode": 1, "message": "version 3 has sha256 dd9f…, but f921… is expected"}


class Cluster(Kubectl):
    """Has what it is given."""

    def __init__(self, workload: dict[str, Any] | None, *pods: dict[str, Any]) -> None:
        super().__init__()
        self.workload, self.pods = workload, list(pods)

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        assert (kind, name, namespace) == ("deployment", "detector-digits", "staging")
        return self.workload

    def list(self, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        assert (kind, namespace) == ("pods", "staging")
        return self.pods


def deployment(*conditions: dict[str, str]) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": LABELS}}
    return {"kind": "Deployment", "metadata": {"name": "detector-digits"}, "spec": spec,
            "status": {"conditions": list(conditions)}}  # fmt: skip


def pod(labels: dict[str, str] = LABELS, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "digits-1", "labels": labels}, "status": status}


def application(**status: Any) -> dict[str, Any]:
    return {"status": {"resources": [ENTRY], "resourceHealthSource": "appTree", **status}}


def test_a_crash_loop_is_told_with_the_servers_own_words() -> None:
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    crashes = {"name": "triton", "ready": False, "state": waits, "lastState": {"terminated": CRASHED}}
    other = pod({"app": "other"}, containerStatuses=[crashes])
    said = reason(Cluster(deployment(), pod(containerStatuses=[crashes]), other), application())
    assert said == f"pod digits-1, container triton CrashLoopBackOff: {CRASHED['message']}"


def test_a_pod_without_a_node_and_a_quota_are_told() -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}
    quota = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    assert reason(Cluster(deployment(quota), pod(conditions=[unplaced])), application()) == (
        "Deployment detector-digits: FailedCreate: exceeded quota; "
        "pod digits-1 has no node: 0/1 nodes are available: 1 Insufficient cpu."
    )


def test_argo_cds_own_words_come_first_and_what_is_well_says_nothing() -> None:
    conditions = [{"type": "ComparisonError", "message": "values don't meet the schema"}]
    running = {"name": "triton", "ready": True, "state": {"running": {}}}
    well = Cluster(deployment(), pod(containerStatuses=[running]))
    assert reason(well, application(conditions=conditions)) == "values don't meet the schema"
    assert reason(well, application()) == ""
    assert reason(Cluster(None), application()) == "Deployment detector-digits is missing"
