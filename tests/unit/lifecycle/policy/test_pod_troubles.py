"""The reasons that pods give, out of pod objects as the API returns them."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.pods import MESSAGE_LIMIT, crash_looping, not_fitting, pod_troubles

NOT_READY = {"type": "Ready", "status": "False"}


def pod(*containers: dict[str, Any], name: str = "detector-digits-1", **status: Any) -> dict[str, Any]:
    status = {"phase": "Running", "conditions": [NOT_READY], "containerStatuses": list(containers), **status}
    return {"metadata": {"name": name}, "status": status}


def container(name: str = "triton", **fields: Any) -> dict[str, Any]:
    return {"name": name, "ready": False, "restartCount": 0, "state": {"running": {}}, **fields}


def test_ready_pods_say_nothing() -> None:
    ready = pod(container(), conditions=[{"type": "Ready", "status": "True"}])
    assert pod_troubles([ready]) == ""
    assert pod_troubles([]) == ""


def test_crash_loop_is_told_with_the_last_exit_and_its_words() -> None:
    crashed = container(
        state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        lastState={"terminated": {"exitCode": 1, "message": "ERROR: version 3\n has another sha256"}},
    )
    said = pod_troubles([pod(crashed)])
    assert said == (
        "pod detector-digits-1, container triton waits (CrashLoopBackOff): it ended with exit code 1: "
        "ERROR: version 3 has another sha256"
    )


def test_image_that_cannot_be_pulled_is_told() -> None:
    waiting = container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    assert "waits (ImagePullBackOff): no such image" in pod_troubles([pod(waiting)])


def test_init_container_that_failed_is_told_and_the_waiting_ones_are_not() -> None:
    failed = container("git-sync", state={"terminated": {"exitCode": 128, "reason": "Error", "message": ""}})
    waiting = container(state={"waiting": {"reason": "PodInitializing"}})
    said = pod_troubles([pod(waiting, initContainerStatuses=[failed], phase="Pending")])
    assert said == "pod detector-digits-1, container git-sync ended with exit code 128: Error"


def test_restarted_container_is_told() -> None:
    again = container(restartCount=3, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
    assert "was restarted 3 times; it ended with exit code 137: OOMKilled" in pod_troubles([pod(again)])


def test_unschedulable_pod_is_told() -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nvidia.com/gpu"}
    said = pod_troubles([pod(conditions=[unplaced], phase="Pending")])
    assert said == "pod detector-digits-1 is not scheduled (Unschedulable: no nvidia.com/gpu)"


def test_pod_that_only_does_not_become_ready_is_told() -> None:
    assert pod_troubles([pod(container())]) == "pod detector-digits-1 runs but does not become ready"


def test_evicted_pod_is_told() -> None:
    evicted = pod(phase="Failed", reason="Evicted", message="node was low on memory")
    assert pod_troubles([evicted]) == "pod detector-digits-1: Evicted node was low on memory"


def test_long_message_keeps_its_end() -> None:
    long = container(state={"terminated": {"exitCode": 1, "message": "x" * 5000 + " the reason"}})
    said = pod_troubles([pod(long)])
    assert said.endswith("the reason")
    assert len(said) < MESSAGE_LIMIT + 100


CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "ERROR: no artifact"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}


def test_a_server_restarted_three_times_is_crash_looping() -> None:
    waits = container(restartCount=3, state=BACK_OFF, lastState=CRASHED)
    runs = container(restartCount=4, state={"running": {}}, lastState=CRASHED)
    assert crash_looping([pod(waits)]) == "detector-digits-1 (3 restarts)"
    assert crash_looping([pod(runs, name="b"), pod(container())]) == "b (4 restarts)"


def test_a_template_that_is_missing_is_missing_again() -> None:
    assembles = container("assemble", restartCount=3, state=BACK_OFF, lastState=CRASHED)
    waits = container(state={"waiting": {"reason": "PodInitializing"}})
    assert crash_looping([pod(waits, initContainerStatuses=[assembles])]) == "detector-digits-1 (3 restarts)"


def test_what_may_come_up_yet_is_not_crash_looping() -> None:
    twice = container(restartCount=2, state=BACK_OFF, lastState=CRASHED)
    ready = container(restartCount=5, ready=True, lastState=CRASHED)
    ended_well = container(restartCount=3, lastState={"terminated": {"exitCode": 0}})
    fetching = pod(initContainerStatuses=[container("git-sync", restartCount=6, state=BACK_OFF, lastState=CRASHED)])
    assert crash_looping([pod(twice), pod(ready), pod(ended_well), fetching, pod()]) == ""


def unplaced(since: str, reason: str = "Unschedulable") -> dict[str, Any]:
    message = "0/1 nodes are available: 1 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    made = pod(conditions=[{**condition, "lastTransitionTime": since}], phase="Pending")
    asked = [{"cpu": "700m", "memory": "1Gi", "nvidia.com/gpu": 1}, {"cpu": "1"}]
    return {**made, "spec": {"containers": [{"resources": {"requests": each}} for each in asked]}}


NOON = 1767268800.0  # 2026-01-01T12:00:00Z


def test_a_pod_without_a_node_for_a_minute_says_what_it_asks() -> None:
    assert not_fitting([unplaced("2026-01-01T11:58:59Z")], NOON) == (
        "pod detector-digits-1 does not fit: it asks 700m + 1 CPU, 1Gi memory, 1 nvidia.com/gpu, and the scheduler "
        "says: 0/1 nodes are available: 1 Insufficient cpu"
    )


@pytest.mark.parametrize("given", [unplaced("2026-01-01T11:59:01Z"), unplaced("2026-01-01T11:00:00Z", "Gated"), pod()])
def test_a_pod_that_may_still_get_its_node_says_nothing(given: dict[str, Any]) -> None:
    assert not_fitting([given], NOON) == ""
