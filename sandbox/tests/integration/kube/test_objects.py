"""What the API refuses, by the Kubernetes client. What it shares with a real one: tests/contracts/api_server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from sandbox.tests.support.kube import Server, pod


def config_map(name: str, data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data or {}}


def refused(call: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
    """The Status of a call that must fail."""
    with pytest.raises(ApiException) as caught:
        call(*arguments, **options)
    status: dict[str, Any] = json.loads(caught.value.body)
    assert status["kind"] == "Status" and status["code"] == caught.value.status
    return status


def test_only_the_kubeconfig_opens_the_server(server: Server) -> None:
    assert server.kubeconfig.stat().st_mode & 0o777 == 0o600
    address = server.ready_line.split()[3].rstrip(",")
    for path, code in {"/api/v1/namespaces": 401, "/version": 404, "/x/api/v1/namespaces": 401}.items():
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{address}{path}", timeout=5)
        assert caught.value.code == code
    assert address.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"hostNetwork": True}, "spec.hostNetwork"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        ({"container": {"livenessProbe": {"grpc": {"port": 1}}}}, "spec.containers[0].livenessProbe.grpc"),
        ({"container": {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}}, "lifecycle.postStart"),
        ({"container": {"stdin": True}}, "spec.containers[0].stdin"),
        ({"container": {"imagee": "typo"}}, "spec.containers[0].imagee"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        (
            {"container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}},
            "spec.containers[0].volumeMounts[0].name",
        ),
        ({"container": {"env": [{"name": "A", "valueFrom": {}}]}}, "spec.containers[0].env[0].valueFrom"),
        ({"container": {"readinessProbe": {"tcpSocket": {"port": "web"}}}}, "readinessProbe.tcpSocket.port"),
    ],
)
def test_unsupported_fields_are_refused_by_path(
    core: client.CoreV1Api, namespace: str, change: dict[str, Any], path: str
) -> None:
    status = refused(core.create_namespaced_pod, namespace, pod("a", "pass", **change))
    assert status["code"] == 422 and status["reason"] == "Invalid"
    assert path in status["message"], status["message"]
    assert any(path in cause["field"] for cause in status["details"]["causes"])


def test_unsupported_service_and_query_are_refused(core: client.CoreV1Api, namespace: str) -> None:
    spec: dict[str, Any] = {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    body = {"metadata": {"name": "s"}, "spec": {**spec, "type": "LoadBalancer"}}
    assert "spec.type" in refused(core.create_namespaced_service, namespace, body)["message"]
    body["spec"] = {**spec, "clusterIP": "None"}
    assert "spec.clusterIP" in refused(core.create_namespaced_service, namespace, body)["message"]


def test_namespace_deletion_empties_it(core: client.CoreV1Api) -> None:
    name = core.create_namespace({"metadata": {"generateName": "gone-"}}).metadata.name
    core.create_namespaced_config_map(name, config_map("a"))
    core.delete_namespace(name)
    assert refused(core.read_namespace, name)["code"] == 404
    assert refused(core.read_namespaced_config_map, "a", name)["code"] == 404
