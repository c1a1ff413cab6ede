"""What the charts render: the server takes it, and what it makes of it is no drift for Argo CD."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.api_server import charts
from tests.contracts.api_server.client import Answer, Api, Object
from tests.contracts.api_server.servers import ApiServer
from tests.support.processes import until

pytestmark = pytest.mark.xdist_group("api-server")
HERE = "not supported by the sandbox's Kubernetes"


@pytest.fixture(scope="module")
def served(api: Api) -> dict[tuple[str, str], str]:
    """The collections of the kinds that live in a namespace, by apiVersion and kind."""
    groups = api.ask("GET", "/apis").object()["groups"]
    urls = {"v1": "/api/v1"} | {each["groupVersion"]: "/apis/" for group in groups for each in group["versions"]}
    found = {}
    for version, prefix in urls.items():
        url = prefix if version == "v1" else prefix + version
        for each in api.ask("GET", url).object()["resources"]:
            if each["namespaced"] and "/" not in each["name"]:
                found[version, each["kind"]] = f"{url}/namespaces/{{}}/{each['name']}"
    return found


def refused_here(server: ApiServer, answer: Answer) -> bool:
    """Whether the sandbox says of every field that it refuses that it does not support it."""
    if server.real or answer.status != 422:
        return False
    texts = [cause["message"] for cause in answer.body["details"]["causes"]]
    return all(HERE in text or "supported values here" in text for text in texts)


@pytest.mark.parametrize(("chart", "values"), charts.cases(), ids=[values for _, values in charts.cases()])
def test_a_chart_is_taken_and_the_same_again_changes_nothing(
    server: ApiServer, api: Api, served: dict[tuple[str, str], str], namespace: str, chart: str, values: str
) -> None:
    applied = set()
    query: dict[str, Any] = {"fieldManager": "argocd-controller", "force": "true", "fieldValidation": "Strict"}
    for manifest in charts.render(chart, values, namespace):
        url = served.get((manifest["apiVersion"], manifest["kind"]))
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if url is None or name in applied:
            continue
        where = f"{url.format(namespace)}/{manifest['metadata']['name']}"
        first = api.ask("PATCH", where, manifest, "application/apply-patch+yaml", **query)
        if refused_here(server, first):
            continue
        assert first.status == 201, f"{name}: {first.text}"
        again = api.ask("PATCH", where, manifest, "application/apply-patch+yaml", **query)
        assert again.status == 200, f"{name}: {again.text}"
        assert again.meta.get("generation") == first.meta.get("generation"), name
        assert owned_by_argo_cd(again.body) == owned_by_argo_cd(first.body), name
        assert without_server(again.body) == without_server(first.body), name
        applied.add(name)
    assert applied


def owned_by_argo_cd(found: Object) -> Object:
    """Argo CD's entry among the owners of fields."""
    (entry,) = [each for each in found["metadata"]["managedFields"] if each["manager"] == "argocd-controller"]
    return entry


def without_server(found: Object) -> Object:
    """An object without what controllers write meanwhile."""
    written = ("resourceVersion", "annotations", "managedFields")
    meta = {key: value for key, value in found["metadata"].items() if key not in written}
    spec = {key: value for key, value in found.get("spec", {}).items() if key != "volumeName"}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": meta, "spec": spec}


@pytest.fixture
def restricted(api: Api, namespace: str) -> str:
    """A namespace that enforces the restricted standard, which refuses a pod that says nothing of its rights."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    change = {"metadata": {"labels": labels}}
    api.ask("PATCH", f"/api/v1/namespaces/{namespace}", change, "application/merge-patch+json").object()
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

    def acts() -> bool:
        return "violates PodSecurity" in api.create("pods", namespace, body, dryRun="All").text

    # The server reads labels by a watch, so it may be a moment behind.
    until("the standard acts", acts, seconds=30)
    return namespace


@pytest.mark.real_api_server
@pytest.mark.parametrize(("chart", "values"), charts.cases(), ids=[values for _, values in charts.cases()])
def test_pods_pass_the_restricted_standard(api: Api, restricted: str, chart: str, values: str) -> None:
    for name, template in charts.pod_templates(charts.render(chart, values, restricted)):
        # These would have to be there.
        for field in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
            template["spec"].pop(field, None)
        body = {"metadata": {**template.get("metadata", {}), "name": "p"}, "spec": template["spec"]}
        body["spec"].setdefault("restartPolicy", "Always")
        answer = api.create("pods", restricted, body, dryRun="All")
        assert answer.status == 201, f"{name}: {answer.text}"
