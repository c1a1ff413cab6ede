"""Objects over the API, with the Kubernetes Python client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from kubernetes import client, watch
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


def test_missing_and_duplicate_objects(core: client.CoreV1Api, namespace: str) -> None:
    status = refused(core.read_namespaced_pod, "nobody", namespace)
    assert (status["code"], status["reason"], status["message"]) == (404, "NotFound", 'pods "nobody" not found')
    core.create_namespaced_config_map(namespace, config_map("a"))
    assert refused(core.create_namespaced_config_map, namespace, config_map("a"))["reason"] == "AlreadyExists"
    assert refused(core.create_namespaced_config_map, "no-such", config_map("a"))["code"] == 404


def test_stale_write_is_a_conflict(core: client.CoreV1Api, namespace: str) -> None:
    first = core.create_namespaced_config_map(namespace, config_map("a", {"k": "1"}))
    core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
    first.data = {"k": "3"}
    status = refused(core.replace_namespaced_config_map, "a", namespace, first)
    assert status["code"] == 409 and "modified" in status["message"]
    assert core.read_namespaced_config_map("a", namespace).data == {"k": "2"}


def test_label_and_field_selectors(core: client.CoreV1Api, namespace: str) -> None:
    for name, labels in {"a": {"x": "1", "y": "1"}, "b": {"x": "2"}, "c": {}}.items():
        core.create_namespaced_config_map(namespace, config_map(name, labels=labels))

    def names(**selector: str) -> str:
        return "".join(item.metadata.name for item in core.list_namespaced_config_map(namespace, **selector).items)

    assert names(label_selector="x=1") == "a"
    assert names(label_selector="x!=1") == "bc"
    assert names(label_selector="x") == "ab"
    assert names(label_selector="!x") == "c"
    assert names(label_selector="x in (1, 2),!y") == "b"
    assert names(label_selector="x notin (1)") == "bc"
    assert names(field_selector="metadata.name=b") == "b"
    assert refused(core.list_namespaced_config_map, namespace, field_selector="data.k=1")["code"] == 400
    assert refused(core.list_namespaced_config_map, namespace, label_selector="x in")["code"] == 400


def test_delete_collection_takes_only_what_is_selected(core: client.CoreV1Api, namespace: str) -> None:
    for name in ("a", "b"):
        core.create_namespaced_config_map(namespace, config_map(name, labels={"name": name}))
    core.delete_collection_namespaced_config_map(namespace, label_selector="name=a")
    assert [item.metadata.name for item in core.list_namespaced_config_map(namespace).items] == ["b"]


def test_watch_continues_from_a_resource_version(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("before"))
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("a", labels={"on": "yes"}))
    core.patch_namespaced_config_map("a", namespace, {"metadata": {"labels": {"on": "no"}}})
    core.delete_namespaced_config_map("a", namespace)
    events = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=1
    )
    assert [(e["type"], e["object"].metadata.name) for e in events] == [
        ("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"),
    ]  # fmt: skip
    # An object that stops matching leaves a selective watch as DELETED.
    events = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=version, label_selector="on=yes", timeout_seconds=1
    )
    assert [e["type"] for e in events] == ["ADDED", "DELETED"]


def test_watch_from_a_forgotten_version_expires(core: client.CoreV1Api, namespace: str) -> None:
    with pytest.raises(ApiException) as caught:
        list(watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version="17", timeout_seconds=1))
    assert caught.value.status == 410


def test_server_side_apply_owns_fields(core: client.CoreV1Api, namespace: str) -> None:
    def apply(data: dict[str, str], manager: str, **options: Any) -> Any:
        return core.patch_namespaced_config_map(
            "a",
            namespace,
            config_map("a", data),
            field_manager=manager,
            _content_type="application/apply-patch+yaml",
            **options,
        )

    apply({"shared": "1", "mine": "1"}, "argocd")
    apply({"theirs": "1"}, "person")
    assert core.read_namespaced_config_map("a", namespace).data == {"shared": "1", "mine": "1", "theirs": "1"}
    status = refused(apply, {"shared": "2"}, "person")
    assert status["code"] == 409 and '"argocd": .data.shared' in status["message"]
    apply({"shared": "2"}, "person", force=True)
    # argocd no longer owns `shared`, so giving it up removes only `mine`.
    apply({}, "argocd")
    assert core.read_namespaced_config_map("a", namespace).data == {"shared": "2"}


def test_status_is_written_through_its_subresource_alone(
    apps: client.AppsV1Api, namespace: str, server: Server
) -> None:
    custom = client.CustomObjectsApi(server.api_client)
    where = ("argoproj.io", "v1alpha1", namespace, "applicationsets")
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": {"name": "a"}, "spec": {"x": 1}}
    custom.create_namespaced_custom_object(*where, {**body, "status": {"ignored": True}})
    custom.patch_namespaced_custom_object(*where, "a", {"status": {"ignored": True}})
    assert "status" not in custom.get_namespaced_custom_object(*where, "a")
    custom.patch_namespaced_custom_object_status(*where, "a", {"status": {"seen": True}, "spec": {"x": 2}})
    found = custom.get_namespaced_custom_object(*where, "a")
    assert found["status"] == {"seen": True} and found["spec"] == {"x": 1}


def test_finalizer_holds_a_deleted_application(server: Server, namespace: str) -> None:
    custom = client.CustomObjectsApi(server.api_client)
    where = ("argoproj.io", "v1alpha1", namespace, "applications")
    meta = {"name": "a", "finalizers": ["resources-finalizer.argocd.argoproj.io"]}
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": {}}
    custom.create_namespaced_custom_object(*where, body)
    custom.delete_namespaced_custom_object(*where, "a")
    assert custom.get_namespaced_custom_object(*where, "a")["metadata"]["deletionTimestamp"]
    custom.patch_namespaced_custom_object(*where, "a", {"metadata": {"finalizers": None}})
    assert refused(custom.get_namespaced_custom_object, *where, "a")["code"] == 404


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
