"""What Kubernetes' controllers do with what the API server stores: garbage, namespaces, rollouts of nothing."""

from __future__ import annotations

import pytest

from tests.contracts.api_server import objects
from tests.contracts.api_server.client import Api
from tests.support.processes import until

pytestmark = [pytest.mark.xdist_group("api-server"), pytest.mark.controllers]


def owned(api: Api, namespace: str, owner: str) -> dict[str, object]:
    """A reference to a ConfigMap, as metadata."""
    uid = api.create("configmaps", namespace, objects.config_map(owner)).meta["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": True}
    return {"ownerReferences": [reference]}


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_what_is_owned_goes_with_its_owner(api: Api, namespace: str, policy: str) -> None:
    api.create("secrets", namespace, {"metadata": {"name": "s", **owned(api, namespace, "owner")}}).object()
    api.delete("configmaps", namespace, "owner", {"propagationPolicy": policy}).object()
    until("the owner is gone", lambda: api.get("configmaps", namespace, "owner").status == 404, seconds=30)
    until("what it owned is gone", lambda: api.get("secrets", namespace, "s").status == 404, seconds=30)


def test_an_orphan_stays(api: Api, namespace: str) -> None:
    api.create("secrets", namespace, {"metadata": {"name": "s", **owned(api, namespace, "owner")}}).object()
    api.delete("configmaps", namespace, "owner", {"propagationPolicy": "Orphan"}).object()
    until("the owner is gone", lambda: api.get("configmaps", namespace, "owner").status == 404, seconds=30)
    assert not api.get("secrets", namespace, "s").meta.get("ownerReferences")


def test_a_rollout_of_nothing_is_complete(api: Api, namespace: str) -> None:
    api.create("deployments", namespace, objects.deployment("a")).object()

    def status(generation: int) -> object:
        found = api.get("deployments", namespace, "a").object().get("status", {})
        conditions = {each["type"]: each for each in found.get("conditions", [])}
        reason = conditions.get("Progressing", {}).get("reason")
        return found.get("observedGeneration") == generation and reason == "NewReplicaSetAvailable"

    until("the Deployment is complete", lambda: status(1), seconds=30)
    # Counts of nothing are left out, not 0.
    assert not {"replicas", "readyReplicas"} & set(api.get("deployments", namespace, "a").object()["status"])
    (replica_set,) = api.get("replicasets", namespace).object()["items"]
    (reference,) = replica_set["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["controller"]) == ("Deployment", "a", True)
    assert replica_set["metadata"]["labels"]["pod-template-hash"]
    image = [{"name": "main", "image": "python:3.12"}]
    change = {"spec": {"template": {"spec": {"containers": image}}}}
    api.patch("deployments", namespace, "a", change, "strategic").object()
    until("the change is complete", lambda: status(2), seconds=30)
    assert len(api.get("replicasets", namespace).object()["items"]) == 2


def test_a_namespace_has_an_account_and_goes_with_all_in_it(api: Api, namespace: str) -> None:
    name = f"{namespace}-other"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).object()
    until("the account is there", lambda: api.get("serviceaccounts", name, "default").status == 200, seconds=30)
    api.create("configmaps", name, objects.config_map("a", finalizers=["x.org/held"])).object()
    api.ask("DELETE", f"/api/v1/namespaces/{name}").object()
    until("it is ending", lambda: api.ask("GET", f"/api/v1/namespaces/{name}").body["status"]["phase"] == "Terminating")
    until("the content is ending", lambda: "deletionTimestamp" in api.get("configmaps", name, "a").meta, seconds=30)
    told = api.create("configmaps", name, objects.config_map("b")).refused(403, "Forbidden")
    assert f"unable to create new content in namespace {name} because it is being terminated" in told
    api.patch("configmaps", name, "a", {"metadata": {"finalizers": None}}).object()
    until("it is gone", lambda: api.ask("GET", f"/api/v1/namespaces/{name}").status == 404, seconds=60)
