"""Server-side apply, by which Argo CD and `make cluster-up` write: who owns a field, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Answer, Api, Object

pytestmark = pytest.mark.xdist_group("api-server")
ARGOCD = "argocd-controller"


class Appliers:
    """Applies Deployments `web` and ConfigMaps `a` in one namespace."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace

    def data(self, data: dict[str, str], manager: str = ARGOCD, **query: Any) -> Answer:
        return self.api.apply("configmaps", self.namespace, objects.config_map("a", data), manager, **query)

    def web(self, container: Object, manager: str = ARGOCD, **query: Any) -> Answer:
        return self.api.apply("deployments", self.namespace, objects.deployment("web", container), manager, **query)

    def owned(self, plural: str, name: str) -> dict[str, Any]:
        """Field sets by manager."""
        fields = self.api.get(plural, self.namespace, name).meta["managedFields"]
        return {entry["manager"]: entry["fieldsV1"] for entry in fields}


@pytest.fixture
def appliers(api: Api, namespace: str) -> Appliers:
    return Appliers(api, namespace)


def test_apply_makes_what_is_not_there_and_says_who_owns_it(appliers: Appliers) -> None:
    answer = appliers.web({"env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 80}], "args": ["x"]})
    assert answer.status == 201 and answer.meta["generation"] == 1
    (entry,) = answer.meta["managedFields"]
    assert {key: entry[key] for key in ("manager", "operation", "apiVersion", "fieldsType")} == {
        "manager": ARGOCD, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
    }  # fmt: skip
    main: Object = {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:args": {},
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    }
    template = {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {"f:containers": {'k:{"name":"main"}': main}},
    }
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": template}}


def test_some_items_and_maps_have_one_owner_as_a_whole(appliers: Appliers) -> None:
    body = objects.deployment("web")
    spread = {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}
    spec = {
        "imagePullSecrets": [{"name": "registry"}],
        "topologySpreadConstraints": [spread],
        "nodeSelector": {"a": "b"},
    }
    body["spec"]["template"]["spec"] |= spec
    appliers.api.apply("deployments", appliers.namespace, body, ARGOCD).object()
    found = appliers.owned("deployments", "web")[ARGOCD]["f:spec"]["f:template"]["f:spec"]
    del found["f:containers"]
    key = 'k:{"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}'
    fields: Object = {".": {}, "f:topologyKey": {}, "f:whenUnsatisfiable": {}, "f:maxSkew": {}}
    assert found == {
        "f:imagePullSecrets": {'k:{"name":"registry"}': {}},
        "f:topologySpreadConstraints": {key: fields},
        "f:nodeSelector": {},
    }


def test_the_same_again_changes_nothing(appliers: Appliers) -> None:
    appliers.web({"env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": "1"}}}).object()
    owned = appliers.owned("deployments", "web")[ARGOCD]
    again = appliers.web({"env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": "1"}}})
    assert again.status == 200 and again.meta["generation"] == 1
    assert appliers.owned("deployments", "web")[ARGOCD] == owned
    assert appliers.data({"k": "1"}).meta == appliers.data({"k": "1"}).meta


def test_another_value_for_an_owned_field_is_a_conflict(appliers: Appliers) -> None:
    appliers.data({"shared": "1", "mine": "1"}).object()
    appliers.data({"theirs": "1"}, "person").object()
    answer = appliers.data({"theirs": "1", "shared": "2"}, "person")
    assert f'Apply failed with 1 conflict: conflict with "{ARGOCD}"' in answer.refused(409, "Conflict")
    (cause,) = answer.body["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.shared")
    assert f'conflict with "{ARGOCD}"' in cause["message"]
    assert appliers.data({"shared": "1"}, "person").status == 200, "the same value is none"


def test_force_takes_a_field_over(appliers: Appliers) -> None:
    appliers.data({"shared": "1", "mine": "1"}).object()
    appliers.data({"shared": "2"}, "person", force="true").object()
    assert appliers.owned("configmaps", "a") == {
        ARGOCD: {"f:data": {"f:mine": {}}}, "person": {"f:data": {"f:shared": {}}},
    }  # fmt: skip
    # What is no longer one's own is not removed by giving it up.
    assert appliers.data({}).object()["data"] == {"shared": "2"}


def test_what_an_applier_gives_up_goes_unless_another_wants_it(appliers: Appliers) -> None:
    appliers.data({"both": "1", "one": "1"}).object()
    appliers.data({"both": "1"}, "person").object()
    assert appliers.data({}).object()["data"] == {"both": "1"}


def test_lists_merge_by_key_and_lose_what_is_given_up(appliers: Appliers) -> None:
    mounts = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]
    volumes = [{"name": "v", "emptyDir": {}}]
    before = objects.deployment("web", {
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}], "args": ["1", "2"], "volumeMounts": mounts,
        "ports": [{"name": "http", "containerPort": 80}, {"name": "grpc", "containerPort": 81}],
    })  # fmt: skip
    after = objects.deployment("web", {
        "env": [{"name": "B", "value": "2"}, {"name": "C", "value": "1"}], "args": ["3"], "volumeMounts": mounts[1:],
        "ports": [{"name": "rpc", "containerPort": 81}],
    })  # fmt: skip
    for each in (before, after):
        each["spec"]["template"]["spec"]["volumes"] = volumes
    api, namespace = appliers.api, appliers.namespace
    api.apply("deployments", namespace, before, ARGOCD).object()
    found = objects.container_of(api.apply("deployments", namespace, after, ARGOCD).object())
    assert found["env"] == [{"name": "B", "value": "2"}, {"name": "C", "value": "1"}]
    assert found["ports"] == [{"name": "rpc", "containerPort": 81, "protocol": "TCP"}]
    assert found["volumeMounts"] == mounts[1:] and found["args"] == ["3"]
    assert found["terminationMessagePath"] == "/dev/termination-log", "what nobody applied stays"


def test_a_value_replaces_the_other_sort_of_value(appliers: Appliers) -> None:
    appliers.web({"env": [{"name": "A", "value": "1"}]}).object()
    reference = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    found = appliers.web({"env": [{"name": "A", **reference}]}).object()
    (variable,) = objects.container_of(found)["env"]
    assert "value" not in variable and variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_a_change_by_hand_stays_where_nobody_applies_that_field(appliers: Appliers) -> None:
    appliers.web({"env": [{"name": "A", "value": "1"}]}).object()
    by_hand = [{"name": "main", "env": [{"name": "HAND", "value": "1"}]}]
    change = {"spec": {"template": {"spec": {"containers": by_hand}}}}
    appliers.api.patch("deployments", appliers.namespace, "web", change, "strategic", fieldManager="kubectl").object()
    found = objects.container_of(appliers.web({"env": [{"name": "A", "value": "1"}]}).object())
    assert sorted(each["name"] for each in found["env"]) == ["A", "HAND"]


def test_a_change_by_hand_of_an_applied_field_is_taken_back_by_force(appliers: Appliers) -> None:
    appliers.data({"k": "1"}).object()
    patch = {"data": {"k": "2"}}
    appliers.api.patch("configmaps", appliers.namespace, "a", patch, fieldManager="kubectl-edit").object()
    owned = appliers.owned("configmaps", "a")
    assert "f:k" in owned["kubectl-edit"]["f:data"] and ARGOCD not in owned
    assert 'conflict with "kubectl-edit"' in appliers.data({"k": "1"}).refused(409, "Conflict")
    assert appliers.data({"k": "1"}, force="true").object()["data"] == {"k": "1"}
    assert appliers.owned("configmaps", "a")[ARGOCD] == {"f:data": {"f:k": {}}}


def test_what_is_created_by_hand_belongs_to_that_hand(appliers: Appliers) -> None:
    api, namespace = appliers.api, appliers.namespace
    body = objects.config_map("a", {"k": "1"}, labels={"x": "1"})
    api.create("configmaps", namespace, body, fieldManager="kubectl-create").object()
    (entry,) = api.get("configmaps", namespace, "a").meta["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl-create", "Update")
    assert set(entry["fieldsV1"]["f:data"]) == {".", "f:k"}
    assert 'conflict with "kubectl-create"' in appliers.data({"k": "2"}).refused(409, "Conflict")
    # Appliers share what they agree on, and take nothing away by leaving it out.
    assert appliers.data({"k": "1"}).object()["metadata"]["labels"] == {"x": "1"}


def test_an_item_twice_is_refused(appliers: Appliers) -> None:
    answer = appliers.web({"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]})
    assert answer.status >= 400 and "duplicate" in answer.text


def test_the_selector_has_one_owner_and_cannot_change(appliers: Appliers) -> None:
    appliers.web({}).object()
    other = objects.deployment("web")
    other["spec"]["selector"]["matchLabels"] = {"other": "yes"}
    other["spec"]["template"]["metadata"]["labels"] = {"other": "yes"}
    answer = appliers.api.apply("deployments", appliers.namespace, other, ARGOCD)
    assert "field is immutable" in answer.refused(422, "Invalid")


def test_lists_of_a_custom_resource_have_one_owner(appliers: Appliers) -> None:
    api, namespace = appliers.api, appliers.namespace
    body = objects.application("a")
    body["spec"]["source"]["helm"] = {"valueFiles": ["a.yaml", "b.yaml"]}
    api.apply("applications", namespace, body, ARGOCD).object()
    body["spec"]["source"]["helm"] = {"valueFiles": ["c.yaml"]}
    found = api.apply("applications", namespace, body, ARGOCD).object()
    assert found["spec"]["source"]["helm"] == {"valueFiles": ["c.yaml"]}
    api.apply("applications", namespace, body, "person").object()
    body["spec"]["source"]["helm"] = {"valueFiles": ["c.yaml", "d.yaml"]}
    answer = api.apply("applications", namespace, body, "person")
    answer.refused(409, "Conflict")
    assert answer.fields == {".spec.source.helm.valueFiles"}


def test_the_status_is_nothing_that_one_applies(appliers: Appliers) -> None:
    body = {**objects.deployment("web"), "status": {"replicas": 7}}
    made = appliers.api.apply("deployments", appliers.namespace, body, ARGOCD).object()
    assert made["status"].get("replicas", 0) == 0 if "status" in made else True
    assert "f:status" not in appliers.owned("deployments", "web")[ARGOCD]


def test_what_an_apply_must_say(appliers: Appliers) -> None:
    api, namespace = appliers.api, appliers.namespace
    answer = api.patch("configmaps", namespace, "a", objects.config_map("a"), "apply")
    answer.refused(422, "Invalid")
    assert answer.fields == {"fieldManager"}
    taken = objects.config_map("a", managedFields=[{"manager": "x", "operation": "Apply"}])
    assert "metadata.managedFields must be nil" in api.apply("configmaps", namespace, taken, ARGOCD).refused(400)
    api.patch("configmaps", namespace, "b", objects.config_map("a"), "apply", fieldManager=ARGOCD).refused(400)


def test_a_dry_run_stores_nothing(appliers: Appliers) -> None:
    made = appliers.web({"env": [{"name": "A", "value": "1"}]}, dryRun="All").object()
    assert made["spec"]["progressDeadlineSeconds"] == 600
    assert appliers.api.get("deployments", appliers.namespace, "web").status == 404
    appliers.data({"k": "1"}).object()
    assert appliers.data({"k": "2"}, dryRun="All").object()["data"] == {"k": "2"}
    assert appliers.api.get("configmaps", appliers.namespace, "a").object()["data"] == {"k": "1"}
