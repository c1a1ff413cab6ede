"""A node that is full: what does not fit waits, and says why."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from sandbox.tests.support.kube import Server, deployment, eventually

GPU = "example.com/gpu"
ONE_GPU = {"resources": {"limits": {GPU: 1}}}
ZERO_GAP = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


@pytest.fixture
def one_gpu(server: Server) -> Iterator[None]:
    """The node has one, and nothing else is limited."""

    def put(content: Any) -> None:
        request = urllib.request.Request(f"{server.address}/allocatable", json.dumps(content).encode(), method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            pass

    put({GPU: 1})
    yield
    put({})


def test_one_gpu_holds_no_pod_more_and_recreate_needs_none(
    one_gpu: None, core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str
) -> None:
    def serving(version: str) -> bool:
        pods = core.list_namespaced_pod(namespace).items
        ready = [pod for pod in pods if pod.status.container_statuses and pod.status.container_statuses[0].ready]
        return [f"echo {version} " in pod.spec.containers[0].command[2] for pod in ready] == [True]

    apps.create_namespaced_deployment(namespace, deployment("web", "v1", strategy=ZERO_GAP, container=dict(ONE_GPU)))
    eventually(lambda: serving("v1"), "v1 is ready")
    apps.patch_namespaced_deployment(
        "web", namespace, deployment("web", "v2", strategy=ZERO_GAP, container=dict(ONE_GPU))
    )

    def refused() -> Any:
        conditions = [each for pod in core.list_namespaced_pod(namespace).items for each in pod.status.conditions or []]
        return next((each for each in conditions if (each.type, each.status) == ("PodScheduled", "False")), None)

    condition = eventually(refused, "the new pod has no room")
    assert condition.reason == "Unschedulable"
    assert condition.message == f"0/1 nodes are available: 1 Insufficient {GPU}."
    assert serving("v1"), "the old version answers"
    apps.patch_namespaced_deployment(
        "web", namespace, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    )
    eventually(lambda: serving("v2"), "v2 has taken the place, and the GPU, of v1")
