"""JSON, merge and strategic merge patches, and server-side apply, on plain objects."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kube.errors import ApiError
from sandbox.kube.objects.apply import apply
from sandbox.kube.objects.patches import json_patch, merge, strategic


def test_merge_removes_with_null_and_keeps_the_target() -> None:
    target = {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    assert merge(target, {"a": {"b": None, "d": 3}, "list": [3]}) == {"a": {"c": 2, "d": 3}, "list": [3]}
    assert target == {"a": {"b": 1, "c": 2}, "list": [1, 2]}


def test_strategic_merges_lists_by_key() -> None:
    target = {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}
    patch = {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "b", "$patch": "delete"}]}
    assert strategic(target, patch) == {
        "containers": [{"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}]
    }


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"args": [1, 2]}, {"args": [3]}, {"args": [3]}),
        ({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}),
        ({"s": {"a": 1, "b": 2}}, {"s": {"$retainKeys": ["b"], "b": 3}}, {"s": {"b": 3}}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        (
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            {"containers": [{"name": "b"}, {"name": "a"}]},
        ),
        (
            {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}]},
            {"ports": [{"port": 80, "name": "b"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "name": "b"}]},
        ),
    ],
)
def test_strategic_directives(target: Any, patch: Any, result: Any) -> None:
    assert strategic(target, patch) == result


def test_json_patch() -> None:
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/a/0", "value": 1},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "replace", "path": "/a/0", "value": 9},
        {"op": "copy", "from": "/a/1", "path": "/x~1y"},
        {"op": "remove", "path": "/a/1"},
    ]
    assert json_patch({"a": [1, 2]}, operations) == {"a": [9, 3], "x/y": 2}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/a/b", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "invent", "path": "/a"},
    ],
)
def test_json_patch_that_cannot_be_applied(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch({"a": 1}, [operation])
    assert caught.value.code == 422


def deployment(**container: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", **container}]}}}}


def containers(obj: dict[str, Any]) -> Any:
    return obj["spec"]["template"]["spec"]["containers"]


def test_apply_removes_what_its_manager_gave_up() -> None:
    live = apply(None, deployment(image="1", env=[{"name": "A", "value": "1"}, {"name": "B"}]), "argocd", False, True)
    containers(live)[0]["command"] = ["set by defaulting"]
    again = apply(live, deployment(image="2", env=[{"name": "B"}]), "argocd", False, True)
    assert containers(again) == [{"name": "c", "image": "2", "command": ["set by defaulting"], "env": [{"name": "B"}]}]
    assert containers(live)[0]["env"] == [{"name": "A", "value": "1"}, {"name": "B"}]


def test_apply_keeps_what_another_manager_also_wants() -> None:
    live = apply(None, {"metadata": {"labels": {"a": "1", "b": "1"}}}, "one", False, True)
    live = apply(live, {"metadata": {"labels": {"a": "1"}}}, "two", False, True)
    live = apply(live, {"metadata": {}}, "one", False, True)
    assert live["metadata"]["labels"] == {"a": "1"}


def test_lists_of_custom_resources_are_atomic() -> None:
    live = apply(None, {"spec": {"env": [{"name": "a"}, {"name": "b"}]}}, "one", False, False)
    live = apply(live, {"spec": {"env": [{"name": "c"}]}}, "one", False, False)
    assert live["spec"] == {"env": [{"name": "c"}]}


def test_applying_the_same_again_changes_nothing() -> None:
    config = deployment(image="1", ports=[{"containerPort": 80}])
    live = apply(None, config, "one", False, True)
    assert apply(live, config, "one", False, True) == live
