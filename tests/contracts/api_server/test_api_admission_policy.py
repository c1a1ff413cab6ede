"""The admission policy of charts/foundation on a real API server: Airflow may ask for a refresh, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.api_server import charts, objects
from tests.contracts.api_server.client import Answer, Api, Object, path
from tests.support.processes import until

pytestmark = [pytest.mark.xdist_group("api-server"), pytest.mark.bare_api_server, pytest.mark.real_api_server]
REFRESH = "argocd.argoproj.io/refresh"
ACCOUNT = "airflow-scheduler"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "11111111-1111-1111-1111-111111111111"}


def apply_cluster_wide(api: Api, manifest: Object) -> None:
    """Server-side apply of an object of admissionregistration.k8s.io."""
    plural = {"ValidatingAdmissionPolicy": "validatingadmissionpolicies"}.get(
        manifest["kind"], "validatingadmissionpolicybindings"
    )
    manifest["metadata"].pop("namespace")
    url = f"/apis/{manifest['apiVersion']}/{plural}/{manifest['metadata']['name']}"
    content = "application/apply-patch+yaml"
    found = api.ask("PATCH", url, manifest, content, fieldManager="argocd-controller", force="true").object()
    assert not found.get("status", {}).get("typeChecking", {}).get("expressionWarnings")


@pytest.fixture
def airflow(api: Api, namespace: str) -> Iterator[Api]:
    """Requests by Airflow's scheduler, once the policy acts, with an Application `a` to change."""
    values = {"argocdNamespace": namespace, "airflow": {"namespace": namespace}}
    for manifest in charts.render("foundation", values, namespace):
        if manifest["kind"].startswith("ValidatingAdmissionPolicy"):
            apply_cluster_wide(api, manifest)
        elif manifest["kind"] in ("Role", "RoleBinding"):
            api.apply(f"{manifest['kind'].lower()}s", namespace, manifest, "argocd-controller").object()
    meta = {"labels": {"team": "a"}, "annotations": {"keep": "1"}, "finalizers": ["x.org/held"]}
    body = {**objects.application("a", **meta), "status": {"health": {"status": "Healthy"}}}
    api.create("applications", namespace, body).object()
    api.create("serviceaccounts", namespace, {"metadata": {"name": ACCOUNT}}).object()
    token = api.ask("POST", path("serviceaccounts", namespace, ACCOUNT, "token"), {"spec": {}}).object()
    mine = api.holding(token["status"]["token"])

    def acts() -> bool:
        answer = mine.patch("applications", namespace, "a", {"spec": {"project": "x"}}, dryRun="All")
        return "ValidatingAdmissionPolicy" in answer.text

    until("the policy acts", acts, seconds=30)
    yield mine
    api.patch("applications", namespace, "a", {"metadata": {"finalizers": None}})


ALLOWED: dict[str, Object] = {
    "ask for a refresh": {"metadata": {"annotations": {REFRESH: "normal"}}},
    "ask for a hard refresh": {"metadata": {"annotations": {REFRESH: "hard"}}},
    "take the request back": {"metadata": {"annotations": {REFRESH: None}}},
    "change nothing": {},
}
DENIED: dict[str, tuple[Object, str]] = {
    "spec": ({"spec": {"source": {"targetRevision": "other"}}}, "spec"),
    "operation": ({"operation": {"sync": {"revision": "abc"}}}, "operation"),
    "status": ({"status": {"health": {"status": "Degraded"}}}, "status"),
    "labels": ({"metadata": {"labels": {"team": "b"}}}, "labels"),
    "labels away": ({"metadata": {"labels": None}}, "labels"),
    "finalizers": ({"metadata": {"finalizers": None}}, "finalizers"),
    "owners": ({"metadata": {"ownerReferences": [OWNER]}}, "ownerReferences"),
    "another annotation": ({"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}}, "annotation"),
    "an annotation changed": ({"metadata": {"annotations": {"keep": "2"}}}, "annotation"),
    "an annotation away": ({"metadata": {"annotations": {"keep": None}}}, "annotation"),
    "another value": ({"metadata": {"annotations": {REFRESH: "sometimes"}}}, "annotation"),
    "a refresh and more": (
        {"metadata": {"annotations": {REFRESH: "normal"}}, "spec": {"project": "other"}}, "spec",
    ),
}  # fmt: skip


def tried(who: Api, namespace: str, change: Object, **query: Any) -> Answer:
    return who.patch("applications", namespace, "a", change, **query)


def test_what_airflow_may_change_of_an_application(api: Api, airflow: Api, namespace: str) -> None:
    for change in ALLOWED.values():
        tried(airflow, namespace, change).object()
    before = api.get("applications", namespace, "a").object()
    for name, (change, part) in DENIED.items():
        told = tried(airflow, namespace, change).refused(422, "Invalid")
        assert "denied request: " in told and part in told, f"{name}: {told}"
    assert api.get("applications", namespace, "a").object() == before
    told = airflow.delete("applications", namespace, "a").refused(403, "Forbidden")
    assert "cannot delete resource" in told
    body = {**before, "spec": {**before["spec"], "project": "other"}}
    airflow.replace("applications", namespace, "a", body).refused(403, "Forbidden")


def test_argo_cd_and_people_are_not_held(api: Api, airflow: Api, namespace: str) -> None:
    for change, _ in DENIED.values():
        if change != {"metadata": {"finalizers": None}}:
            tried(api, namespace, change, dryRun="All").object()
