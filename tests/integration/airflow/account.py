"""Airflow's ServiceAccount in the sandbox's Kubernetes, with the Roles of charts/foundation and no other right."""

from __future__ import annotations

from pathlib import Path

import helm_python
import yaml

from tests.integration.airflow.servers import Kube
from tests.support.paths import ROOT

NAMESPACE, NAME = "platform", "airflow-scheduler"


def make_account(kube: Kube, environments: list[str]) -> Path:
    """Make account, Roles and bindings; the kubeconfig with the account's token."""
    kube.apply("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}}
    kube.apply("serviceaccounts", account)
    values = {"environments": [{"name": name, "enabled": True} for name in environments]}
    with helm_python.Chart.load(ROOT / "charts" / "foundation") as chart:
        rendered = chart.render(values, name="foundation", namespace=NAMESPACE)
    for text in rendered.values():
        for manifest in yaml.safe_load_all(text):
            if manifest and manifest["kind"] in ("Role", "RoleBinding"):
                kube.apply(f"{manifest['kind'].lower()}s", manifest)
    path = f"api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAME}/token"
    token = kube.request("POST", path, {"spec": {"expirationSeconds": 24 * 3600}})["status"]["token"]
    document = yaml.safe_load(kube.kubeconfig.read_text())
    document["users"] = [{"name": "sandbox", "user": {"token": token}}]
    file = kube.kubeconfig.with_name("airflow-scheduler.kubeconfig")
    file.write_text(yaml.safe_dump(document))
    return file
