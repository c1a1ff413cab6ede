"""Which failures are tried again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from kubernetes.client import models as k8s
from lifecycle.errors import BadParameter, RegistryUnavailable
from lifecycle.tasks.retry_policy import RetryTransientFailures


def ended_with(code: int | None) -> Any:
    """A context whose task is a pod operator that saw this exit code."""
    state = k8s.V1ContainerState(
        terminated=k8s.V1ContainerStateTerminated(exit_code=code) if code is not None else None
    )
    status = k8s.V1ContainerStatus(name="base", image="i", image_id="", ready=False, restart_count=0, state=state)
    pod = k8s.V1Pod(status=k8s.V1PodStatus(container_statuses=[status]))
    return {"task": SimpleNamespace(remote_pod=pod, base_container_name="base")}


def action(error: BaseException, context: Any = None) -> RetryAction:
    return RetryTransientFailures().evaluate(error, 1, 3, context).action


def test_errors_of_this_package_decide() -> None:
    assert action(RegistryUnavailable("away")) is RetryAction.DEFAULT
    assert action(BadParameter("wrong")) is RetryAction.FAIL


@pytest.mark.parametrize(
    ("code", "expected"),
    [(2, RetryAction.FAIL), (1, RetryAction.DEFAULT), (137, RetryAction.DEFAULT), (None, RetryAction.DEFAULT)],
)
def test_pods_exit_code_decides(code: int | None, expected: RetryAction) -> None:
    assert action(RuntimeError("pod failed"), ended_with(code)) is expected


def test_task_without_a_pod_is_tried_again() -> None:
    assert action(OSError("disk"), {"task": SimpleNamespace()}) is RetryAction.DEFAULT
    assert action(OSError("disk"), {"task": SimpleNamespace(remote_pod=None)}) is RetryAction.DEFAULT


def test_survives_serialization() -> None:
    policy = RetryTransientFailures()
    assert isinstance(RetryTransientFailures.deserialize(policy.serialize()), RetryTransientFailures)
