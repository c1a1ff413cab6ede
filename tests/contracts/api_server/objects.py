"""The objects that the contracts make, as small as they may be."""

from __future__ import annotations

from typing import Any

from tests.contracts.api_server.client import Object


def config_map(name: str, data: dict[str, str] | None = None, **meta: Any) -> Object:
    """A ConfigMap; `meta` are more fields of its metadata."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data or {}}


def pod(name: str, container: Object | None = None, **spec: Any) -> Object:
    """A Pod with one container `main`."""
    containers = [{"name": "main", "image": "python:3.11", **(container or {})}]
    spec = {"containers": containers, "automountServiceAccountToken": False, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, container: Object | None = None, **spec: Any) -> Object:
    """A Deployment that starts no pod, with one container `main`."""
    containers = [{"name": "main", "image": "python:3.11", **(container or {})}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def container_of(workload: Object) -> Object:
    """The only container of a Deployment."""
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    container: Object = found
    return container


def service(name: str, **spec: Any) -> Object:
    """A Service of one port."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def claim(name: str) -> Object:
    """A PersistentVolumeClaim."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def application(name: str, **meta: Any) -> Object:
    """Argo CD's Application."""
    spec = {
        "project": "default",
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
        "source": {"repoURL": "https://git.example.com/fork.git", "path": "charts/triton", "targetRevision": "main"},
    }
    meta = {"name": name, **meta}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": meta, "spec": spec}


def application_set(name: str) -> Object:
    """Argo CD's ApplicationSet."""
    made = application("{{.name}}")
    template = {"metadata": made["metadata"], "spec": made["spec"]}
    spec = {"goTemplate": True, "generators": [{"list": {"elements": [{"name": "a"}]}}], "template": template}
    meta = {"name": name}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": meta, "spec": spec}
