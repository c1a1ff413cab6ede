"""The status subresource, and deletion: at once, held by finalizers, in bulk, with conditions."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api

pytestmark = pytest.mark.xdist_group("api-server")
FINALIZER = "resources-finalizer.argocd.argoproj.io"


@pytest.mark.parametrize(
    ("plural", "body", "status"),
    [
        ("deployments", objects.deployment("a"), {"collisionCount": 7}),
        ("applicationsets", objects.application_set("a"), {"conditions": []}),
    ],
)
def test_a_status_is_written_through_its_subresource_alone(
    api: Api, namespace: str, plural: str, body: dict[str, object], status: dict[str, object]
) -> None:
    (field, value), *_ = status.items()
    api.create(plural, namespace, {**body, "status": status}).object()
    api.patch(plural, namespace, "a", {"status": status}).object()
    assert api.get(plural, namespace, "a").object().get("status", {}).get(field) != value
    change = {"status": status, "metadata": {"labels": {"x": "1"}}}
    found = api.patch(plural, namespace, "a", change, subresource="status").object()
    assert found["status"][field] == value and "labels" not in found["metadata"]
    assert api.get(plural, namespace, "a", "status").object()["status"][field] == value


def test_an_application_has_no_status_subresource(api: Api, namespace: str) -> None:
    status = {"sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"}}
    made = api.create("applications", namespace, {**objects.application("a"), "status": status}).object()
    assert made["status"] == status
    found = api.patch("applications", namespace, "a", {"status": {"health": {"status": "Degraded"}}}).object()
    assert found["status"]["health"] == {"status": "Degraded"} and found["status"]["sync"] == status["sync"]
    assert api.patch("applications", namespace, "a", {"status": {}}, subresource="status").status == 404


def test_a_refresh_is_an_annotation_that_can_be_taken_away(api: Api, namespace: str) -> None:
    key = "argocd.argoproj.io/refresh"
    api.create("applications", namespace, objects.application("a")).object()
    asked = api.patch("applications", namespace, "a", {"metadata": {"annotations": {key: "normal"}}})
    assert asked.meta["annotations"] == {key: "normal"} and asked.meta["generation"] == 1
    done = api.patch("applications", namespace, "a", {"metadata": {"annotations": {key: None}}})
    assert not done.meta.get("annotations") and done.meta["generation"] == 1


def test_what_is_deleted_is_gone_and_told(api: Api, namespace: str) -> None:
    meta = api.create("configmaps", namespace, objects.config_map("a")).meta
    answer = api.delete("configmaps", namespace, "a").object()
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": meta["uid"]}
    assert api.get("configmaps", namespace, "a").refused(404, "NotFound") == 'configmaps "a" not found'
    api.delete("configmaps", namespace, "a").refused(404, "NotFound")
    again = api.create("configmaps", namespace, objects.config_map("a")).meta
    assert again["uid"] != meta["uid"]


def test_a_pod_that_is_deleted_is_the_answer(api: Api, namespace: str) -> None:
    # KubernetesPodOperator deletes so, and a pod that has no node is gone at once.
    made = api.create("pods", namespace, objects.pod("a", restartPolicy="Never")).meta
    answer = api.delete("pods", namespace, "a", gracePeriodSeconds=0).object()
    assert (answer["kind"], answer["metadata"]["uid"]) == ("Pod", made["uid"])
    api.get("pods", namespace, "a").refused(404, "NotFound")


def test_a_finalizer_holds_what_is_deleted(api: Api, namespace: str) -> None:
    api.create("applications", namespace, objects.application("a", finalizers=[FINALIZER])).object()
    first = api.delete("applications", namespace, "a")
    assert datetime.fromisoformat(first.meta["deletionTimestamp"].replace("Z", "+00:00"))
    assert first.meta["deletionGracePeriodSeconds"] == 0 and first.meta["generation"] == 2
    again = api.delete("applications", namespace, "a")
    assert again.meta["deletionTimestamp"] == first.meta["deletionTimestamp"]
    # It can still be changed, but no more be held, nor saved.
    labelled = api.patch("applications", namespace, "a", {"metadata": {"labels": {"x": "1"}}})
    assert labelled.meta["labels"] == {"x": "1"}
    answer = api.patch("applications", namespace, "a", {"metadata": {"finalizers": [FINALIZER, "x.org/more"]}})
    assert "no new finalizers can be added if the object is being deleted" in answer.refused(422, "Invalid")
    assert answer.fields == {"metadata.finalizers"}
    kept = api.patch("applications", namespace, "a", {"metadata": {"deletionTimestamp": None}})
    assert kept.meta["deletionTimestamp"] == first.meta["deletionTimestamp"]
    api.patch("applications", namespace, "a", {"metadata": {"finalizers": None}}).object()
    api.get("applications", namespace, "a").refused(404, "NotFound")


def test_a_deletion_for_one_uid_only(api: Api, namespace: str) -> None:
    meta = api.create("configmaps", namespace, objects.config_map("a")).meta
    other = {"preconditions": {"uid": "11111111-1111-1111-1111-111111111111"}}
    told = api.delete("configmaps", namespace, "a", other).refused(409, "Conflict")
    assert meta["uid"] in told
    api.delete("configmaps", namespace, "a", {"preconditions": {"uid": meta["uid"]}}).object()


def test_a_deletion_for_one_version_only(api: Api, namespace: str) -> None:
    old = api.create("configmaps", namespace, objects.config_map("a")).meta["resourceVersion"]
    api.patch("configmaps", namespace, "a", {"data": {"k": "v"}}).object()
    api.delete("configmaps", namespace, "a", {"preconditions": {"resourceVersion": old}}).refused(409, "Conflict")
    assert api.get("configmaps", namespace, "a").status == 200


def test_a_deletion_that_is_only_tried(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a")).object()
    api.delete("configmaps", namespace, "a", dryRun="All").object()
    assert api.get("configmaps", namespace, "a").status == 200


def test_a_deletion_of_many_takes_what_is_selected(api: Api, namespace: str) -> None:
    for name in ("a", "b"):
        api.create("configmaps", namespace, objects.config_map(name, labels={"name": name})).object()
    api.delete("configmaps", namespace, labelSelector="name=a").object()
    left = [item["metadata"]["name"] for item in api.get("configmaps", namespace).object()["items"]]
    assert "b" in left and "a" not in left


def test_options_of_a_deletion_that_cannot_be(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a")).object()
    api.delete("configmaps", namespace, "a", {"propagationPolicy": "Sometimes"}).refused(422, "Invalid")
    assert api.get("configmaps", namespace, "a").status == 200
