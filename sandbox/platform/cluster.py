"""What an administrator does once on a cluster: namespaces, rights, Secrets, the claim and the root Application."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import helm_python
import yaml

from .config import REPOSITORY_ROOT, Config, SandboxError

RESOURCES = {
    "Namespace": "api/v1/namespaces",
    "ServiceAccount": "api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "Secret": "api/v1/namespaces/{namespace}/secrets",
    "PersistentVolumeClaim": "api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Application": "apis/argoproj.io/v1alpha1/namespaces/{namespace}/applications",
}


class KubernetesApi:
    """The few calls that the platform makes, with the kubeconfig's address and token."""

    def __init__(self, config: Config) -> None:
        kubeconfig = yaml.safe_load(config.kubeconfig.read_text())
        self.server = kubeconfig["clusters"][0]["cluster"]["server"]
        self._token = kubeconfig["users"][0].get("user", {}).get("token", "")

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, kind: str = "application/json"
    ) -> Any:
        """Send a request and return the parsed answer.

        Raises:
            SandboxError: the API refused; its own message is in it.
        """
        request = urllib.request.Request(
            f"{self.server}/{path}", method=method, data=None if body is None else json.dumps(body).encode()
        )
        request.add_header("Content-Type", kind)
        request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise SandboxError(
                f"{method} {path}: the Kubernetes API answered {error.code}: {error.read().decode()}"
            ) from error

    def apply(self, manifest: dict[str, Any]) -> None:
        """Server-side apply of one object."""
        meta = manifest["metadata"]
        path = RESOURCES[manifest["kind"]].format(namespace=meta.get("namespace", ""))
        query = "fieldManager=sandbox&force=true"
        self.request("PATCH", f"{path}/{meta['name']}?{query}", manifest, "application/apply-patch+yaml")


# As charts/platform/airflow.yaml's chart names them; which of them may do what is in charts/foundation.
AIRFLOW_NAMESPACE = "platform"
ACCOUNTS = ("airflow-api-server", "airflow-dag-processor", "airflow-scheduler", "airflow-triggerer")
# Of a token: the sandbox's pods renew none.
TOKEN_SECONDS = 10 * 365 * 24 * 3600


def secret(name: str, namespace: str, data: dict[str, str], **meta: dict[str, str]) -> dict[str, Any]:
    """A Secret manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **meta},
        "stringData": data,
    }


def bootstrap(api: KubernetesApi, mlflow_url: str, environments: Sequence[str]) -> None:
    """Apply what everything else expects to be there, then argocd-apps/root.yaml as it is in the repository."""
    for namespace in ("lifecycle", "argocd", *environments):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for namespace in ("lifecycle", *environments):
        api.apply(secret("mlflow", namespace, {"MLFLOW_TRACKING_URI": mlflow_url}))
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "workspace", "namespace": "lifecycle"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}},
        }
    )
    api.apply(
        secret(
            "in-cluster",
            "argocd",
            {"name": "in-cluster", "server": "https://kubernetes.default.svc", "config": "{}"},
            labels={
                "argocd.argoproj.io/secret-type": "cluster",
                **{f"yolo-lifecycle/environment-{environment}": "true" for environment in environments},
            },
        )
    )
    for manifest in yaml.safe_load_all((REPOSITORY_ROOT / "argocd-apps" / "root.yaml").read_text()):
        api.apply(manifest)


def make_accounts(config: Config, api: KubernetesApi, environments: Sequence[str]) -> None:
    """Airflow's ServiceAccounts, the Roles of charts/foundation, and a kubeconfig of each account.

    The namespaces that the Roles are in exist: `bootstrap` has made them.
    """
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": AIRFLOW_NAMESPACE}})
    kubeconfig = yaml.safe_load(config.kubeconfig.read_text())
    config.account_kubeconfig("").mkdir(exist_ok=True)
    for name in ACCOUNTS:
        metadata = {"name": name, "namespace": AIRFLOW_NAMESPACE}
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        path = f"{RESOURCES['ServiceAccount'].format(namespace=AIRFLOW_NAMESPACE)}/{name}/token"
        token = api.request("POST", path, {"spec": {"expirationSeconds": TOKEN_SECONDS}})["status"]["token"]
        # The token takes the place of the administrator's secret in the address.
        kubeconfig["clusters"][0]["cluster"]["server"] = f"{api.server.rpartition('/')[0]}/{token}"
        file = config.account_kubeconfig(name)
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(kubeconfig))
    values = {"environments": [{"name": name, "enabled": True} for name in environments]}
    with helm_python.Chart.load(REPOSITORY_ROOT / "charts" / "foundation") as chart:
        rendered = chart.render(values, name="foundation", namespace=AIRFLOW_NAMESPACE)
    for text in rendered.values():
        for manifest in yaml.safe_load_all(text):
            if manifest and manifest["kind"] in ("Role", "RoleBinding"):
                api.apply(manifest)
