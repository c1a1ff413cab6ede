"""What an AppProject allows its Applications."""

from __future__ import annotations

import fnmatch

from sandbox.argocd.cluster.kube import Manifest, Resource
from sandbox.argocd.errors import InvalidSpecError, only
from sandbox.argocd.globs import allows

FIELDS = {
    "description", "sourceRepos", "destinations", "clusterResourceWhitelist", "clusterResourceBlacklist",
    "namespaceResourceWhitelist", "namespaceResourceBlacklist", "roles",
}  # fmt: skip
DEFAULT: Manifest = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": "default", "namespace": "argocd"},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"server": "*", "namespace": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    },
}


class Project:
    """The rules of one AppProject."""

    def __init__(self, manifest: Manifest) -> None:
        self.name = manifest["metadata"]["name"]
        self._spec = manifest.get("spec") or {}
        only(self._spec, FIELDS, f"AppProject {self.name}: spec")

    def check_source(self, repo_url: str) -> None:
        """Raises InvalidSpecError where the project does not allow the repository."""
        if not allows(self._spec.get("sourceRepos") or [], repo_url):
            raise InvalidSpecError(
                f"application repo {repo_url} is not permitted in project '{self.name}'; add it to sourceRepos."
            )

    def check_destination(self, server: str, namespace: str) -> None:
        """Raises InvalidSpecError where the project does not allow the cluster and namespace."""
        allowed = denied = False
        for entry in self._spec.get("destinations") or []:
            place = entry.get("server") or "*"
            wanted = entry.get("namespace") or ""
            if place.startswith("!") or wanted.startswith("!"):
                denied |= _denies(place, server) and _denies(wanted, namespace)
            else:
                allowed |= fnmatch.fnmatchcase(server, place) and fnmatch.fnmatchcase(namespace, wanted)
        if denied or not allowed:
            raise InvalidSpecError(
                f"application destination server '{server}' and namespace '{namespace}' do not match any of the allowed"
                f" destinations in project '{self.name}'; add them to destinations."
            )

    def check_resource(self, resource: Resource, server: str, namespace: str | None) -> None:
        """Raises InvalidSpecError where the project does not allow a kind, or an object's namespace."""
        spec = self._spec
        if resource.namespaced:
            listed = spec.get("namespaceResourceWhitelist")
            permitted = listed is None or _lists(listed, resource)
            permitted &= not _lists(spec.get("namespaceResourceBlacklist") or [], resource)
        else:
            permitted = _lists(spec.get("clusterResourceWhitelist") or [], resource)
            permitted &= not _lists(spec.get("clusterResourceBlacklist") or [], resource)
        if not permitted:
            scope = "namespace" if resource.namespaced else "cluster"
            raise InvalidSpecError(
                f"resource {resource.group}:{resource.kind} is not permitted in project {self.name};"
                f" add it to {scope}ResourceWhitelist."
            )
        if resource.namespaced and namespace is not None:
            self.check_destination(server, namespace)


def _denies(pattern: str, value: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.removeprefix("!"))


def _lists(entries: list[dict[str, str]], resource: Resource) -> bool:
    return any(
        fnmatch.fnmatchcase(resource.group, entry["group"]) and fnmatch.fnmatchcase(resource.kind, entry["kind"])
        for entry in entries
    )
