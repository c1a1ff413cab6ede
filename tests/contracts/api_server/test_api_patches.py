"""PATCH: JSON patch, merge patch, and strategic merge patch, which merges lists by their keys."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object, path

pytestmark = pytest.mark.xdist_group("api-server")
MAIN: Object = {
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "args": ["one", "two"],
    "ports": [{"name": "http", "containerPort": 8000}, {"name": "grpc", "containerPort": 8001}],
    "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}],
    "envFrom": [{"configMapRef": {"name": "x"}}],
}


def web(**more: Any) -> Object:
    """A Deployment with all kinds of lists."""
    found = objects.deployment("web", {**MAIN, **more})
    found["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    return found


def of_container(**fields: Any) -> Object:
    """A patch of the container."""
    return of_pod(containers=[{"name": "main", **fields}])


def of_pod(**fields: Any) -> Object:
    """A patch of the pod template."""
    return {"spec": {"template": {"spec": fields}}}


def test_merge_patch_removes_with_null_and_replaces_lists(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a", {"k": "1", "l": "1"}, finalizers=["x.org/a"])).object()
    change = {"data": {"k": None, "m": "2"}, "metadata": {"finalizers": ["x.org/b"], "labels": {"no": None}}}
    found = api.patch("configmaps", namespace, "a", change).object()
    assert found["data"] == {"l": "1", "m": "2"}
    assert found["metadata"]["finalizers"] == ["x.org/b"]
    api.patch("configmaps", namespace, "a", {"metadata": {"finalizers": None}}).object()
    assert "finalizers" not in api.get("configmaps", namespace, "a").meta


def test_a_merge_patch_of_a_list_loses_what_it_does_not_name(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, web()).object()
    named = of_container(image="python:3.12")
    found = objects.container_of(api.patch("deployments", namespace, "web", named).object())
    assert found["image"] == "python:3.12" and "env" not in found


def names(items: list[Object], key: str = "name") -> list[Any]:
    return [item[key] for item in items]


@pytest.mark.parametrize(
    ("change", "field", "wanted"),
    [
        ({"env": [{"name": "B", "value": "3"}]}, "env", [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]),
        # What a patch adds comes first.
        (
            {"env": [{"name": "C", "value": "3"}, {"name": "B", "value": "3"}]},
            "env",
            [{"name": "C", "value": "3"}, {"name": "A", "value": "1"}, {"name": "B", "value": "3"}],
        ),
        ({"env": [{"name": "A", "$patch": "delete"}]}, "env", [{"name": "B", "value": "2"}]),
        ({"env": [{"$patch": "replace"}, {"name": "C", "value": "9"}]}, "env", [{"name": "C", "value": "9"}]),
        ({"env": None}, "env", None),
        ({"args": ["three"]}, "args", ["three"]),
        ({"envFrom": [{"secretRef": {"name": "y"}}]}, "envFrom", [{"secretRef": {"name": "y"}}]),
        (
            {"ports": [{"containerPort": 8001, "name": "rpc"}]},
            "ports",
            [
                {"name": "http", "containerPort": 8000, "protocol": "TCP"},
                {"name": "rpc", "containerPort": 8001, "protocol": "TCP"},
            ],
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/b", "subPath": "s"}]},
            "volumeMounts",
            [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "subPath": "s"}],
        ),
    ],
)
def test_a_strategic_patch_merges_lists_by_key(
    api: Api, namespace: str, change: Object, field: str, wanted: Any
) -> None:
    api.create("deployments", namespace, web()).object()
    patched = api.patch("deployments", namespace, "web", of_container(**change), "strategic").object()
    assert objects.container_of(patched).get(field) == wanted


def test_a_strategic_patch_adds_and_removes_containers(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, web()).object()
    more = of_pod(containers=[{"name": "side", "image": "side:1"}])
    found = api.patch("deployments", namespace, "web", more, "strategic").object()
    # What a patch adds comes first.
    assert names(found["spec"]["template"]["spec"]["containers"]) == ["side", "main"]
    gone = of_pod(containers=[{"name": "side", "$patch": "delete"}])
    found = api.patch("deployments", namespace, "web", gone, "strategic").object()
    assert objects.container_of(found)["args"] == ["one", "two"]


def test_a_strategic_patch_of_finalizers(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a", finalizers=["x.org/a"])).object()
    change = {"metadata": {"finalizers": ["x.org/b"]}}
    assert api.patch("configmaps", namespace, "a", change, "strategic").meta["finalizers"] == ["x.org/b", "x.org/a"]
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.org/a", "x.org/b"]}}
    assert not api.patch("configmaps", namespace, "a", change, "strategic").meta.get("finalizers")


def test_a_strategic_patch_to_recreate_drops_the_rolling_numbers(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, web()).object()
    strategy = {"$retainKeys": ["type"], "type": "Recreate"}
    found = api.patch("deployments", namespace, "web", {"spec": {"strategy": strategy}}, "strategic").object()
    assert found["spec"]["strategy"] == {"type": "Recreate"}
    answer = api.patch("deployments", namespace, "web", {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}})
    answer.refused(422, "Invalid")
    assert answer.fields == {"spec.strategy.rollingUpdate"}


def test_scale_is_a_part_of_the_workload(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, web()).object()
    wanted: Object = {"spec": {"replicas": 3}}
    found = api.patch("deployments", namespace, "web", wanted, subresource="scale", dryRun="All").object()
    assert (found["kind"], found["spec"], found["status"]["replicas"]) == ("Scale", {"replicas": 3}, 0)
    bad: Object = {"spec": {"replicas": -1}}
    api.patch("deployments", namespace, "web", bad, subresource="scale").refused(422, "Invalid")
    assert api.get("deployments", namespace, "web").meta["generation"] == 1


def test_json_patch(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a", {"k": "1"}, annotations={"x.org/b": "x"})).object()
    # A replacement of what is not there adds it.
    steps: list[Object] = [
        {"op": "replace", "path": "/data/n", "value": "3"},
        {"op": "test", "path": "/data/k", "value": "1"},
        {"op": "replace", "path": "/data/k", "value": "2"},
        {"op": "move", "from": "/metadata/annotations/x.org~1b", "path": "/data/c"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "1"}},
    ]
    found = api.patch("configmaps", namespace, "a", steps, "json").object()
    assert found["data"] == {"k": "2", "c": "x", "n": "3"} and found["metadata"]["labels"] == {"x": "1"}


@pytest.mark.parametrize(
    "step",
    [
        {"op": "test", "path": "/data/k", "value": "2"},
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/none/k", "value": "1"},
    ],
)
def test_a_json_patch_that_does_not_fit_changes_nothing(api: Api, namespace: str, step: Object) -> None:
    api.create("configmaps", namespace, objects.config_map("a", {"k": "1"})).object()
    change = {"op": "add", "path": "/data/new", "value": "1"}
    api.patch("configmaps", namespace, "a", [change, step], "json").refused(422, "Invalid")
    assert api.get("configmaps", namespace, "a").object()["data"] == {"k": "1"}


@pytest.mark.parametrize(("body", "style"), [("{", "merge"), ("[]", "merge"), ("{}", "json"), ("{", "strategic")])
def test_a_patch_that_cannot_be_read(api: Api, namespace: str, body: str, style: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a")).object()
    api.patch("configmaps", namespace, "a", body, style).refused(400, "BadRequest")


def test_what_a_kind_cannot_be_patched_by(api: Api, namespace: str) -> None:
    api.create("applications", namespace, objects.application("a")).object()
    told = api.patch("applications", namespace, "a", {"spec": {}}, "strategic").refused(415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in told and "strategic" not in told
    where = path("applications", namespace, "a")
    api.ask("PATCH", where, {}, "application/json").refused(415, "UnsupportedMediaType")


@pytest.mark.parametrize("style", ["merge", "strategic", "json"])
def test_a_patch_creates_nothing(api: Api, namespace: str, style: str) -> None:
    body: Any = [] if style == "json" else {"data": {}}
    told = api.patch("configmaps", namespace, "none", body, style).refused(404, "NotFound")
    assert told == 'configmaps "none" not found'


def test_a_patch_of_what_cannot_change(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, web()).object()
    selector = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    answer = api.patch("deployments", namespace, "web", selector)
    assert "field is immutable" in answer.refused(422, "Invalid")
    assert "spec.selector" in answer.fields
    api.create("services", namespace, objects.service("s")).object()
    answer = api.patch("services", namespace, "s", {"spec": {"clusterIP": "10.0.0.77", "clusterIPs": ["10.0.0.77"]}})
    answer.refused(422, "Invalid")
