"""The platform's own charts, rendered as Argo CD does: valid, restricted, allowed, and every name leads somewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import secrets, settings
from sandbox.argocd.render.source import manifests
from tests.support import kubernetes_schemas
from tests.unit.charts.conftest import CHART, Manifest
from tests.unit.charts.test_triton_policy import containers, pods, problems, references

ROOT = CHART.parents[1]
APPS = ROOT / "argocd-apps"
# Kinds whose API began later than the oldest Kubernetes that we support, where the chart leaves them out.
SINCE = {"ValidatingAdmissionPolicy": (1, 30), "ValidatingAdmissionPolicyBinding": (1, 30)}
CLUSTER_KINDS = {"Namespace", *SINCE}


@cache
def applications() -> dict[str, Manifest]:
    """The Applications of argocd-apps/platform that render a chart of this repository, by name."""
    found = {}
    for path in sorted((APPS / "platform").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] == "Application" and "path" in each["spec"].get("source", {}):
                found[each["metadata"]["name"]] = each
    return found


@cache
def rendered(name: str) -> list[Manifest]:
    """What an Application wants."""
    spec = applications()[name]["spec"]
    return manifests(spec["source"], ROOT, name, spec["destination"]["namespace"])


def namespace(name: str, manifest: Manifest) -> str:
    """Where an object goes."""
    default: str = applications()[name]["spec"]["destination"]["namespace"]
    return manifest["metadata"].get("namespace", default)


NAMES = sorted(applications())


def test_each_chart_but_the_model_servers_is_an_application_of_the_platform() -> None:
    used = {ROOT / each["spec"]["source"]["path"] for each in applications().values()}
    assert used == {path.parent for path in ROOT.glob("charts/*/Chart.yaml")} - {CHART, CHART.parent / "kserve"}


@pytest.mark.parametrize("version", ["1.28", "1.32", "1.37"])
@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_valid_kubernetes(name: str, version: str) -> None:
    assert rendered(name)
    for manifest in rendered(name):
        since = SINCE.get(manifest["kind"], (0, 0))
        if kubernetes_schemas.builtin(manifest) and tuple(int(part) for part in version.split(".")) >= since:
            kubernetes_schemas.validate(manifest, version)


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_is_restricted_limited_and_pinned(name: str) -> None:
    assert [text for pod in pods(rendered(name)) for text in problems(pod)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_project_allows_what_the_chart_renders(name: str) -> None:
    spec = applications()[name]["spec"]
    (project,) = [
        each
        for path in (APPS / "platform").glob("*.yaml")
        for each in yaml.safe_load_all(path.read_text())
        if each["kind"] == "AppProject" and each["metadata"]["name"] == spec["project"]
    ]

    def allowed(key: str, manifest: Manifest) -> bool:
        group = manifest["apiVersion"].rpartition("/")[0]
        entries = project["spec"].get(key, [])
        return any(e["group"] in ("*", group) and e["kind"] in ("*", manifest["kind"]) for e in entries)

    for manifest in rendered(name):
        if manifest["kind"] in CLUSTER_KINDS:
            assert allowed("clusterResourceWhitelist", manifest), manifest["kind"]
        else:
            if "namespaceResourceWhitelist" in project["spec"]:
                assert allowed("namespaceResourceWhitelist", manifest), manifest["kind"]
            namespaces = {each["namespace"] for each in project["spec"]["destinations"]}
            assert "*" in namespaces or namespace(name, manifest) in namespaces


@cache
def expected_secrets() -> dict[tuple[str, str], set[str]]:
    """Keys of the Secrets that `make cluster-check` asks for, by namespace and name."""
    return {(each.namespace, each.name): set(each.keys) for each in secrets.expected(settings.load())}


@pytest.mark.parametrize("name", NAMES)
def test_every_secret_config_map_and_claim_that_a_pod_names_exists(name: str) -> None:
    here = applications()[name]["spec"]["destination"]["namespace"]
    made = {(each["kind"], each["metadata"]["name"]) for each in rendered(name)}
    claims = {
        ("PersistentVolumeClaim", template["metadata"]["name"])
        for each in rendered(name)
        for template in each.get("spec", {}).get("volumeClaimTemplates", [])
    }
    for pod in pods(rendered(name)):
        for kind, wanted, key in references({**pod, "spec": {"serviceAccountName": "default", **pod["spec"]}}):
            if kind == "Secret":
                assert (here, wanted) in expected_secrets(), f"make cluster-check does not know the Secret {wanted}"
                assert not key or key in expected_secrets()[here, wanted]
            elif (kind, wanted) != ("ServiceAccount", "default"):
                assert (kind, wanted) in made | claims
        mounts = {mount["name"] for each in containers(pod) for mount in each.get("volumeMounts", [])}
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])} | {claim for _, claim in claims}
        assert mounts <= volumes


@pytest.mark.parametrize("name", NAMES)
def test_every_service_leads_to_a_port_of_a_pod(name: str) -> None:
    for service in (each for each in rendered(name) if each["kind"] == "Service"):
        labels = service["spec"]["selector"]
        chosen = [pod for pod in pods(rendered(name)) if labels.items() <= pod["metadata"]["labels"].items()]
        assert chosen, f"the Service {service['metadata']['name']} selects no pod"
        ports: set[Any] = {
            port[key] for pod in chosen for each in containers(pod) for port in each.get("ports", []) for key in port
        }
        assert all(port.get("targetPort", port["port"]) in ports for port in service["spec"]["ports"])


def test_the_model_servers_find_their_secret_and_their_clients_in_every_environment() -> None:
    values: Manifest = yaml.safe_load((CHART / "values.yaml").read_text())
    environments = {path.parent.name for path in APPS.glob("*/environment.yaml")}
    for environment in environments:
        people = yaml.safe_load(Path(APPS, environment, "environment.yaml").read_text())
        secret = people.get("mlflow", values["mlflow"])["existingSecret"]
        assert "MLFLOW_TRACKING_URI" in expected_secrets()[environment, secret]
    apps = [each for path in (APPS / "platform").glob("*.yaml") for each in yaml.safe_load_all(path.read_text())]
    where = {each["metadata"]["name"]: each["spec"].get("destination", {}).get("namespace") for each in apps}
    clients = values["networkPolicy"]["clients"][1]["namespaceSelector"]["matchExpressions"][0]["values"]
    assert set(clients) == {"lifecycle", where["airflow"]}
    (reader,) = values["networkPolicy"]["metricsReaders"]
    stack = next(name for name in where if "monitoring" in name or "prometheus" in name)
    assert reader["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": where[stack]}
