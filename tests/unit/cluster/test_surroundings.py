"""What the check finds out of the cluster around the platform: databases, claims, the provider and its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster import databases, provider, serving, volumes
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from tests.support.settings import changed, served


class Cluster(Kubectl):
    """A cluster that has these objects, by (kind, name)."""

    def __init__(self, *objects: dict[str, Any], secrets: dict[str, dict[str, str]] | None = None) -> None:
        super().__init__()
        self.objects, self.secrets = objects, secrets or {}

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        found = [each for each in self.objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
        return found[0] if found else None

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        return self.secrets.get(name)


def thing(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """An object of the class Cluster."""
    return {"kind": kind, "metadata": {"name": name, "labels": more.pop("labels", {})}, **more}


@pytest.mark.parametrize(
    ("kind", "connection", "said"),
    [
        (
            "cloudnativepg",
            "postgresql://airflow:x@postgresql.platform.svc:5432/airflow",
            "to postgresql.platform",
        ),
        ("statefulset", "postgresql://airflow:x@postgresql-rw.platform.svc:5432/airflow", "to postgresql-rw.platform"),
        ("cloudnativepg", "postgresql://airflow:x@postgresql-rw.platform.svc:5432/airflow", ""),
        ("external", "postgresql://airflow:x@postgresql.platform.svc:5432/airflow", ""),
    ],
)
def test_databases_are_moved_by_a_person_and_never_left_behind(
    settings: Settings, kind: str, connection: str, said: str
) -> None:
    cluster = Cluster(secrets={"airflow-metadata": {"connection": connection}})
    found = [each.text for each in databases.findings(served(settings, kind), cluster) if each.kind == "fail"]
    assert len(found) == bool(said)
    assert all(said in text and "docs/operations.md" in text for text in found)


def test_backups_of_the_databases_want_cert_manager(settings: Settings) -> None:
    store = changed(settings, **{"backup.enabled": True, "backup.destination": "s3://bucket/postgresql"})
    [found] = list(databases.findings(store, Cluster()))
    assert (found.kind, "cert-manager" in found.text) == ("fail", True)
    [found] = list(databases.findings(store, Cluster(thing("customresourcedefinition", databases.CERT_MANAGER))))
    assert found.kind == "ok"


@pytest.mark.parametrize(
    ("name", "has", "grows", "said"),
    [
        ("workspace", "50Gi", False, ""),
        ("workspace", "100Gi", True, "storage.workspace_size must be 100Gi or more, not 50Gi"),
        ("workspace", "20Gi", False, "without allowVolumeExpansion"),
        ("workspace", "20Gi", True, "note: the claim workspace in namespace lifecycle grows from 20Gi to 50Gi"),
        ("logs-airflow-scheduler-0", "10Gi", True, "delete statefulset airflow-scheduler --cascade=orphan"),
        # A server that this project no longer runs.
        ("data-postgresql-0", "10Gi", True, ""),
    ],
)
def test_sizes_of_claims_that_exist_are_compared(
    settings: Settings, name: str, has: str, grows: bool, said: str
) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": has}}}
    classes = [thing("storageclass", "fast", allowVolumeExpansion=grows)]
    claim = thing("persistentvolumeclaim", name, spec=spec)
    claim["metadata"]["namespace"] = "lifecycle" if name == "workspace" else "platform"
    found = list(volumes.findings(settings, Cluster(claim), classes))
    assert len(found) == bool(said)
    assert all(said in (each.text if each.kind == "fail" else f"{each.kind}: {each.text}") for each in found)


def test_a_workspace_for_several_nodes_wants_a_class_that_has_it(settings: Settings) -> None:
    many = changed(settings, **{"storage.workspace_access": "ReadWriteMany"})
    disk = thing("storageclass", "gp3", provisioner="ebs.csi.aws.com")
    assert "makes volumes for one node at a time" in next(volumes.access(many, disk)).text
    assert list(volumes.access(many, thing("storageclass", "efs", provisioner="efs.csi.aws.com"))) == []
    assert list(volumes.access(settings, disk)) == []


@pytest.mark.parametrize(
    ("version", "identity", "name"),
    [
        ("v1.34.1-gke.2000", "gce://p/z/n", "GKE"),
        ("v1.33.5-eks-113cf36", "aws:///eu-1a/i-1", "EKS"),
        ("v1.33.5", "azure:///subscriptions/x", "AKS"),
        ("v1.34.1+k3s1", "", "k3s"),
        ("v1.34.0", "kind://docker/a/b", "kind"),
        ("v1.34.0", "", ""),
    ],
)
def test_the_provider_is_found_out(version: str, identity: str, name: str) -> None:
    node = thing("nodes", "n", status={"nodeInfo": {"kubeletVersion": version}}, spec={"providerID": identity})
    assert provider.provider([node]) == name


def test_what_a_provider_would_refuse_is_said_before(settings: Settings) -> None:
    def failing(settings: Settings, *objects: dict[str, Any]) -> str:
        nodes = [each for each in objects if each["kind"] == "nodes"]
        found = provider.findings(settings, Cluster(*objects), nodes)
        return "; ".join(each.text for each in found if each.kind != "ok")

    autopilot = failing(settings, thing("nodes", "gk3-a-pool-1"))
    assert "set nodeExporter.enabled, coreDns.enabled, prometheusOperator.kubeletService.enabled to false" in autopilot
    assert failing(changed(settings, **{"platform.monitoring": False}), thing("nodes", "gk3-a-pool-1")) == ""
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    assert "refuses node-exporter" in failing(settings, thing("namespace", "monitoring", labels=labels))
    ingress = changed(settings, **{"ingress.enabled": True})
    assert "the cluster's IngressClasses are nginx" in failing(
        ingress, thing("ingressclasses.networking.k8s.io", "nginx")
    )
    assert failing(ingress, thing("ingressclasses.networking.k8s.io", "traefik")) == ""


@pytest.mark.parametrize(("name", "told"), [("kind", "kind gives it no address"), ("", "may have"), ("GKE", "")])
def test_a_load_balancer_that_nobody_serves_is_said_before(
    settings: Settings, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "environment.yaml").write_text("service:\n  type: LoadBalancer\n")
    found = [each.text for each in provider._load_balancers(settings, name, tmp_path)]
    assert len(found) == bool(told)
    assert all(told in text and "argocd-apps/staging/environment.yaml" in text for text in found)


@pytest.mark.parametrize(
    ("agent", "arguments", "safe"),
    [
        ("calico-node", [], True),
        ("aws-node", ["--enable-network-policy=true"], True),
        ("aws-node", ["--enable-network-policy=false"], False),
        ("kindnet", [], False),
    ],
)
def test_without_a_password_the_check_says_whether_policies_are_enforced(
    settings: Settings, agent: str, arguments: list[str], safe: bool
) -> None:
    containers = [{"name": "agent", "args": arguments}]
    daemonset = thing("daemonsets.apps", agent, spec={"template": {"spec": {"containers": containers}}})
    [found] = list(provider.findings(changed(settings, **{"mlflow.auth": False}), Cluster(daemonset), []))
    assert found.kind == ("ok" if safe else "note")
    assert list(provider.findings(settings, Cluster(daemonset), [])) == [], "with a password it is no matter"


def test_kserve_is_asked_for_where_a_file_needs_it(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "argocd-apps" / "staging" / "group" / "values.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("models: []\n")
    assert list(serving.kserve(settings, Cluster(), tmp_path)) == []
    file.write_text("serving: kserve\nmodels: []\n")
    [found] = serving.kserve(settings, Cluster(), tmp_path)
    assert found.kind == "fail" and "argocd-apps/staging/group/values.yaml" in found.text
    there = Cluster(thing("customresourcedefinition", serving.INFERENCE_SERVICES))
    assert list(serving.kserve(settings, there, tmp_path)) == []
