"""What an administrator does once on a cluster: namespaces, secrets, the claim, Argo CD's Secret and the root."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import yaml

from .config import REPOSITORY_ROOT, Config, SandboxError

RESOURCES = {
    "Namespace": "api/v1/namespaces",
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
