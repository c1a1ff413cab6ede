"""A task's log says, after a minute, why its pod has no node."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from lifecycle.hooks import pending
from lifecycle.operators.pods import trainer_pod
from lifecycle.settings import settings

FULL = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
    "lastTransitionTime": "2026-01-01T12:00:00Z",
}


class Client:
    """Has one pod, or an error in its place."""

    def __init__(self, found: dict[str, Any] | Exception) -> None:
        self.found = found

    def read_namespaced_pod(self, name: str, namespace: str, **options: Any) -> Any:
        assert (name, namespace) == ("yolo-train-1", "lifecycle")
        if isinstance(self.found, Exception):
            raise self.found
        return SimpleNamespace(data=json.dumps(self.found).encode())


def pod(*conditions: dict[str, str]) -> dict[str, Any]:
    container = {"resources": {"requests": {"cpu": "1", "memory": "2Gi"}}}
    return {
        "kind": "Pod",
        "metadata": {"name": "yolo-train-1"},
        "spec": {"containers": [container]},
        "status": {"phase": "Pending", "conditions": list(conditions)},
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (pod(FULL), "does not fit: it asks 1 CPU, 2Gi memory, and the scheduler says: 0/1 nodes are available"),
        (pod({"type": "PodScheduled", "status": "True"}), ""),
        (ApiException(404, "Not Found"), ""),
        (ApiException(403, "Forbidden"), ""),
    ],
)
def test_a_pod_that_waits_for_a_node_is_told_and_no_other(
    found: dict[str, Any] | Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pending.say_why_pending(Client(found), "yolo-train-1", "lifecycle")
    assert (said in caplog.text) if said else (caplog.text == "")


def test_every_pod_of_the_dag_is_checked_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = trainer_pod(settings(), "train", run_id="r", seconds=60)
    started: list[tuple[float, Any]] = []

    class Timer:
        daemon = False

        def __init__(self, seconds: float, function: Any, arguments: Any) -> None:
            started.append((seconds, arguments[1:]))

        def start(self) -> None:
            assert self.daemon, "a task that has ended does not wait for it"

    monkeypatch.setattr(pending.threading, "Timer", Timer)
    made = SimpleNamespace(metadata=SimpleNamespace(name="yolo-train-1", namespace="lifecycle"))
    for callback in operator.callbacks:
        callback.on_pod_creation(pod=made, client=None, mode="sync", operator=operator, context={})
    assert started == [(65.0, ("yolo-train-1", "lifecycle"))]
