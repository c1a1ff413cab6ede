"""What the API server writes into an object's metadata, and what it refuses there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api, Object

pytestmark = pytest.mark.xdist_group("api-server")


def test_a_new_object_gets_what_only_the_server_gives(api: Api, namespace: str) -> None:
    told: Object = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}
    meta = api.create("configmaps", namespace, objects.config_map("a", **told)).meta
    assert meta["namespace"] == namespace and meta["name"] == "a"
    assert len(meta["uid"]) == 36 and meta["resourceVersion"].isdigit()
    made = datetime.fromisoformat(meta["creationTimestamp"].replace("Z", "+00:00"))
    assert abs((datetime.now(UTC) - made).total_seconds()) < 120
    found = api.get("configmaps", namespace, "a").object()
    assert (found["kind"], found["apiVersion"], found["metadata"]["uid"]) == ("ConfigMap", "v1", meta["uid"])


@pytest.mark.parametrize(
    ("plural", "body", "generation"),
    [
        ("configmaps", objects.config_map("a"), None),
        ("secrets", {"metadata": {"name": "a"}}, None),
        ("serviceaccounts", {"metadata": {"name": "a"}}, None),
        ("services", objects.service("a"), None),
        ("persistentvolumeclaims", objects.claim("a"), None),
        ("roles", {"metadata": {"name": "a"}, "rules": []}, None),
        ("deployments", objects.deployment("a"), 1),
        ("applications", objects.application("a"), 1),
        ("applicationsets", objects.application_set("a"), 1),
    ],
)
def test_only_some_kinds_have_a_generation(
    api: Api, namespace: str, plural: str, body: Object, generation: int | None
) -> None:
    made = api.create(plural, namespace, body).object()
    assert made["metadata"].get("generation") == generation
    changed = api.patch(plural, namespace, "a", {"metadata": {"labels": {"x": "1"}}}).object()
    assert changed["metadata"].get("generation") == generation, "labels are nothing that a controller acts on"
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_generation_counts_changes_of_what_is_asked_for(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, objects.deployment("a")).object()
    more = api.patch("deployments", namespace, "a", {"spec": {"minReadySeconds": 3}})
    assert more.meta["generation"] == 2
    seen = api.patch("deployments", namespace, "a", {"status": {"observedGeneration": 1}}, subresource="status")
    assert seen.meta["generation"] == 2


def test_a_status_without_a_subresource_counts_as_a_change(api: Api, namespace: str) -> None:
    # An Application's status is a field like any other; an ApplicationSet's is not.
    api.create("applications", namespace, objects.application("a")).object()
    status: Object = {"status": {"health": {"status": "Healthy"}}}
    assert api.patch("applications", namespace, "a", status).meta["generation"] == 2
    api.create("applicationsets", namespace, objects.application_set("a")).object()
    status = {"status": {"conditions": []}}
    assert api.patch("applicationsets", namespace, "a", status, subresource="status").meta["generation"] == 1


def test_a_write_that_changes_nothing_is_none(api: Api, namespace: str) -> None:
    made = api.create("configmaps", namespace, objects.config_map("a", {"k": "v"})).object()
    patched = api.patch("configmaps", namespace, "a", {"data": {"k": "v"}})
    replaced = api.replace("configmaps", namespace, "a", made)
    assert patched.meta["resourceVersion"] == replaced.meta["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generate_name_appends_five_characters(api: Api, namespace: str) -> None:
    body = {"metadata": {"generateName": "run-"}}
    first, second = (api.create("configmaps", namespace, body).meta for _ in range(2))
    assert first["name"] != second["name"]
    assert first["name"].startswith("run-") and len(first["name"]) == len("run-") + 5
    assert first["generateName"] == "run-"


def test_a_name_is_there_once(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, objects.deployment("a")).object()
    answer = api.create("deployments", namespace, objects.deployment("a"))
    assert answer.refused(409, "AlreadyExists") == 'deployments.apps "a" already exists'
    assert answer.body["details"] == {"name": "a", "group": "apps", "kind": "deployments"}


def test_url_and_body_agree(api: Api, namespace: str) -> None:
    api.create("configmaps", namespace, objects.config_map("a")).object()
    elsewhere = objects.config_map("b", namespace="default")
    api.create("configmaps", namespace, elsewhere).refused(400, "BadRequest")
    api.replace("configmaps", namespace, "a", objects.config_map("b")).refused(400, "BadRequest")
    api.create("configmaps", namespace, objects.pod("a")).refused(400, "BadRequest")
    nowhere = api.create("configmaps", "no-such-namespace", objects.config_map("a"))
    assert nowhere.refused(404, "NotFound") == 'namespaces "no-such-namespace" not found'
    api.create("configmaps", namespace, {"metadata": {}}).refused(422, "Invalid")


def test_a_stale_write_is_a_conflict(api: Api, namespace: str) -> None:
    first = api.create("configmaps", namespace, objects.config_map("a", {"k": "1"})).object()
    api.patch("configmaps", namespace, "a", {"data": {"k": "2"}}).object()
    stale = {**first, "data": {"k": "3"}}
    told = api.replace("configmaps", namespace, "a", stale).refused(409, "Conflict")
    assert told.startswith('Operation cannot be fulfilled on configmaps "a": the object has been modified')
    version = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "3"}}
    api.patch("configmaps", namespace, "a", version).refused(409, "Conflict")
    assert api.get("configmaps", namespace, "a").object()["data"] == {"k": "2"}


def test_a_replacement_without_a_version(api: Api, namespace: str) -> None:
    # Built-in kinds take it, whatever is there; custom resources do not.
    api.create("configmaps", namespace, objects.config_map("a", {"k": "1"})).object()
    assert api.replace("configmaps", namespace, "a", objects.config_map("a", {"k": "2"})).object()["data"] == {"k": "2"}
    api.create("applications", namespace, objects.application("a")).object()
    answer = api.replace("applications", namespace, "a", objects.application("a"))
    answer.refused(422, "Invalid")
    assert answer.fields == {"metadata.resourceVersion"}
    api.replace("configmaps", namespace, "b", objects.config_map("b")).refused(404, "NotFound")


def test_another_objects_uid_is_refused(api: Api, namespace: str) -> None:
    made = api.create("configmaps", namespace, objects.config_map("a")).object()
    made["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"
    told = api.replace("configmaps", namespace, "a", made).refused(409, "Conflict")
    assert "Precondition failed: UID in precondition: 11111111-" in told


def test_a_version_is_nothing_to_create_with(api: Api, namespace: str) -> None:
    answer = api.create("configmaps", namespace, objects.config_map("a", resourceVersion="5"))
    assert answer.status >= 400
    assert "resourceVersion should not be set on objects to be created" in answer.text


@pytest.mark.parametrize(
    ("references", "field"),
    [
        ([{"apiVersion": "v1", "kind": "Pod", "name": "p"}], "metadata.ownerReferences.uid"),
        (
            [{"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True} for n in ("a", "b")],
            "metadata.ownerReferences",
        ),
    ],
)
def test_owner_references_that_cannot_be(api: Api, namespace: str, references: list[Any], field: str) -> None:
    answer = api.create("configmaps", namespace, objects.config_map("a", ownerReferences=references))
    answer.refused(422, "Invalid")
    assert answer.fields == {field}


def test_the_api_server_leaves_owner_references_alone(api: Api, namespace: str) -> None:
    owner = api.create("configmaps", namespace, objects.config_map("owner")).meta
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    api.create("configmaps", namespace, objects.config_map("owned", ownerReferences=[reference])).object()
    assert api.patch("configmaps", namespace, "owned", {"data": {"k": "v"}}).meta["ownerReferences"] == [reference]
    assert api.patch("configmaps", namespace, "owned", {"metadata": {"ownerReferences": None}}).object()
    assert "ownerReferences" not in api.get("configmaps", namespace, "owned").meta


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"labels": {"a": "not a label"}}, "metadata.labels"),
        ({"labels": {"-a": "b"}}, "metadata.labels"),
        ({"annotations": {"not a key": "b"}}, "metadata.annotations"),
        ({"finalizers": ["no-domain/"]}, "metadata.finalizers"),
    ],
)
def test_labels_annotations_and_finalizers_have_a_form(api: Api, namespace: str, meta: Object, field: str) -> None:
    answer = api.create("configmaps", namespace, objects.config_map("a", **meta))
    answer.refused(422, "Invalid")
    assert field in answer.fields


def test_a_name_has_a_form(api: Api, namespace: str) -> None:
    answer = api.create("configmaps", namespace, objects.config_map("Not_A_Name"))
    assert 'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name"' in answer.refused(422)
