"""Lists and watches: selectors by label and by field, versions, bookmarks, and what is too old."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object

pytestmark = pytest.mark.xdist_group("api-server")
# What the garbage of a cluster puts into every namespace.
NOISE = {"kube-root-ca.crt"}


def names(answer: Object) -> str:
    """One-letter names, in the list's order."""
    return "".join(item["metadata"]["name"] for item in answer["items"] if item["metadata"]["name"] not in NOISE)


def test_items_of_a_list_say_their_kind_only_where_a_crd_defines_it(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a")).object()
    found = api.get("configmaps", namespace).object()
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert found["metadata"]["resourceVersion"].isdigit()
    assert all("kind" not in item and "apiVersion" not in item for item in found["items"])
    api.create("applications", namespace, objects.application("a")).object()
    found = api.get("applications", namespace).object()
    assert found["kind"] == "ApplicationList"
    assert [(item["kind"], item["apiVersion"]) for item in found["items"]] == [("Application", "argoproj.io/v1alpha1")]


def test_a_list_of_nothing_is_no_error(api: Api, namespace: str) -> None:
    assert api.get("deployments", namespace).object()["items"] == []
    assert api.get("pods", "no-such-namespace").object()["items"] == []


LABELS: dict[str, dict[str, str]] = {"a": {"x": "1", "y": "1"}, "b": {"x": "2"}, "c": {}}


def test_label_selectors(api: Api, namespace: str) -> None:
    for name, labels in LABELS.items():
        api.create("configmaps", namespace, objects.config_map(name, labels=labels)).object()
    for selector, wanted in {
        "x=1": "a",
        "x==1": "a",
        "x!=1": "bc",
        "x": "ab",
        "!x": "c",
        "x in (1, 2),!y": "b",
        "x notin (1)": "bc",
        "x=1,y=1": "a",
        "x=": "",
        "x=3": "",
    }.items():
        assert names(api.get("configmaps", namespace, labelSelector=selector).object()) == wanted, selector


@pytest.mark.parametrize("selector", ["x in", "x=1=2", "=1", "x y", "not a key=1"])
def test_a_label_selector_that_cannot_be_read(api: Api, namespace: str, selector: str) -> None:
    api.get("configmaps", namespace, labelSelector=selector).refused(400, "BadRequest")


def test_pods_by_the_selector_of_the_pod_operator(api: Api, namespace: str) -> None:
    # KubernetesPodOperator looks for the pod of an earlier try in these words.
    labels = {"dag_id": "d", "task_id": "train", "run_id": "r", "kubernetes_pod_operator": "True"}
    for name, more in {"p": {}, "q": {"already_checked": "True"}, "r": {"airflow_kpo_in_cluster": "True"}}.items():
        body = objects.pod(name, restartPolicy="Never")
        body["metadata"]["labels"] = {**labels, **more}
        api.create("pods", namespace, body).object()
    selector = "dag_id=d,kubernetes_pod_operator=True,run_id=r,task_id=train,already_checked!=True,!airflow_worker"
    assert names(api.get("pods", namespace, labelSelector=selector).object()) == "pr"
    for name in "pqr":
        api.delete("pods", namespace, name, gracePeriodSeconds=0)


def event(name: str, pod: str, namespace: str) -> Object:
    involved = {"kind": "Pod", "apiVersion": "v1", "name": pod, "namespace": namespace, "uid": f"uid-of-{pod}"}
    meta = {"name": name, "namespace": namespace}
    return {"metadata": meta, "involvedObject": involved, "reason": "Pulled", "message": "m", "type": "Normal"}


def test_events_of_one_object(api: Api, namespace: str) -> None:
    for name, pod in (("a", "one"), ("b", "one"), ("c", "two")):
        api.create("events", namespace, event(name, pod, namespace)).object()
    for selector, wanted in {
        "involvedObject.name=one": "ab",
        "involvedObject.name!=one": "c",
        "involvedObject.name=one,involvedObject.kind=Pod,involvedObject.uid=uid-of-one,type=Normal": "ab",
        "reason=Pulled,metadata.name=c": "c",
        "involvedObject.name=none": "",
    }.items():
        assert names(api.get("events", namespace, fieldSelector=selector).object()) == wanted, selector


@pytest.mark.parametrize(
    ("plural", "field"),
    [
        ("configmaps", "metadata.name=a"),
        ("configmaps", f"metadata.namespace!={'x' * 3}"),
        ("secrets", "type=Opaque"),
        ("deployments", "metadata.name=a"),
        ("applications", "metadata.name=a"),
    ],
)
def test_field_selectors(api: Api, namespace: str, plural: str, field: str) -> None:
    bodies = {
        "configmaps": objects.config_map("a"),
        "secrets": {"metadata": {"name": "a"}},
        "deployments": objects.deployment("a"),
        "applications": objects.application("a"),
    }
    api.create(plural, namespace, bodies[plural]).object()
    assert names(api.get(plural, namespace, fieldSelector=field).object()) == "a"


@pytest.mark.parametrize(
    ("plural", "field"),
    [
        ("configmaps", "data.k=1"),
        ("deployments", "spec.replicas=0"),
        ("applications", "spec.project=default"),
        ("pods", "spec.containers=x"),
        ("events", "count=1"),
    ],
)
def test_fields_that_nothing_selects_by(api: Api, namespace: str, plural: str, field: str) -> None:
    api.get(plural, namespace, fieldSelector=field).refused(400, "BadRequest")


def seen(events: list[Object]) -> list[tuple[str, str]]:
    """Types and names of events; none of them is an error."""
    assert not [each["object"] for each in events if each["type"] == "ERROR"]
    return [(each["type"], each["object"]["metadata"]["name"]) for each in events]


def test_a_watch_continues_from_a_version(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("before")).object()
    version = api.get("configmaps", namespace).object()["metadata"]["resourceVersion"]
    api.create("configmaps", namespace, objects.config_map("a", labels={"on": "yes"})).object()
    api.patch("configmaps", namespace, "a", {"metadata": {"labels": {"on": "no"}}}).object()
    api.delete("configmaps", namespace, "a").object()
    events = api.watch("configmaps", namespace, 3, resourceVersion=version)
    assert seen(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert all(each["object"]["kind"] == "ConfigMap" for each in events)
    versions = [int(each["object"]["metadata"]["resourceVersion"]) for each in events]
    assert versions == sorted(versions) and versions[0] > int(version)
    # What stops matching leaves a selective watch as DELETED.
    events = api.watch("configmaps", namespace, 2, resourceVersion=version, labelSelector="on=yes")
    assert seen(events) == [("ADDED", "a"), ("DELETED", "a")]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
def test_a_watch_without_a_version_begins_with_what_is_there(api: Api, namespace: str, query: dict[str, str]) -> None:
    for name in ("a", "b"):
        api.create("secrets", namespace, {"metadata": {"name": name}}).object()
    assert sorted(seen(api.watch("secrets", namespace, 2, **query))) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_of_one_object(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        api.create("applications", namespace, objects.application(name)).object()
    assert seen(api.watch("applications", namespace, 1, fieldSelector="metadata.name=b")) == [("ADDED", "b")]


def test_a_version_that_is_too_old_is_gone(api: Api, namespace: str) -> None:
    # The answer itself is a success: the reason comes as the first event.
    (event,) = api.watch("applications", namespace, 1, resourceVersion="1")
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


def test_a_version_is_a_number(api: Api, namespace: str) -> None:
    answer = api.ask("GET", f"/api/v1/namespaces/{namespace}/configmaps", watch="true", resourceVersion="x")
    assert answer.status == 500 and 'resourceVersion: Invalid value: "x"' in answer.body["message"]


def test_a_watch_ends_when_it_was_asked_to(api: Api, namespace: str) -> None:
    query: dict[str, Any] = {"timeoutSeconds": 1, "allowWatchBookmarks": "true"}
    version = api.get("configmaps", namespace).object()["metadata"]["resourceVersion"]
    events = api.watch("configmaps", namespace, 99, resourceVersion=version, **query)
    assert all(each["type"] == "BOOKMARK" for each in events)
    for each in events:
        assert each["object"]["kind"] == "ConfigMap" and each["object"]["metadata"]["resourceVersion"].isdigit()
