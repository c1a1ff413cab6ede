"""What clients read to find out what the server has: versions, groups, resources, and just enough OpenAPI."""

from __future__ import annotations

import platform
from typing import Any

from sandbox.kube.objects.kinds import KINDS, Kind, group_versions

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
MINOR = "32"


def version() -> dict[str, Any]:
    """/version: the Kubernetes minor whose behaviour is imitated."""
    return {
        "major": "1",
        "minor": MINOR,
        "gitVersion": f"v1.{MINOR}.0+sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"python{platform.python_version()}",
        "platform": "linux/amd64",
    }


def core_versions() -> dict[str, Any]:
    """/api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> dict[str, Any]:
    """/apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*pair) for pair in group_versions()]}


def group(name: str) -> dict[str, Any] | None:
    """/apis/<group>, or None."""
    found = next((pair for pair in group_versions() if pair[0] == name), None)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(*found)} if found else None


def _group(name: str, version_: str) -> dict[str, Any]:
    entry = {"groupVersion": f"{name}/{version_}", "version": version_}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def resources(name: str, version_: str) -> dict[str, Any] | None:
    """/api/v1 or /apis/<group>/<version>, or None."""
    found = [kind for kind in KINDS if (kind.group, kind.version) == (name, version_)]
    if not found:
        return None
    entries = [entry for kind in found for entry in _entries(kind)]
    group_version = f"{name}/{version_}" if name else version_
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(kind: Kind) -> list[dict[str, Any]]:
    common = {"singularName": "", "namespaced": kind.namespaced, "kind": kind.kind}
    main: dict[str, Any] = {**common, "name": kind.plural, "singularName": kind.singular, "verbs": _VERBS}
    if kind.short:
        main["shortNames"] = list(kind.short)
    if kind.categories:
        main["categories"] = list(kind.categories)
    entries = [main]
    if kind.status:
        entries.append({**common, "name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]})
    if kind.scale:
        scale = {"kind": "Scale", "group": "autoscaling", "version": "v1"}
        entries.append({**common, **scale, "name": f"{kind.plural}/scale", "verbs": ["get", "patch", "update"]})
    if kind.plural == "pods":
        entries.append({**common, "name": "pods/log", "verbs": ["get"]})
    return entries


def openapi_index(prefix: str) -> dict[str, Any]:
    """/openapi/v3."""
    paths = {"api/v1": {"serverRelativeURL": f"{prefix}/openapi/v3/api/v1?hash=sandbox"}}
    for name, version_ in group_versions():
        paths[f"apis/{name}/{version_}"] = {
            "serverRelativeURL": f"{prefix}/openapi/v3/apis/{name}/{version_}?hash=sandbox"
        }
    return {"paths": paths}


def openapi(name: str, version_: str) -> dict[str, Any] | None:
    """The OpenAPI v3 document of a group: only what tells kubectl that this server validates fields itself."""
    found = [kind for kind in KINDS if (kind.group, kind.version) == (name, version_)]
    if not found:
        return None
    root = f"/apis/{name}/{version_}" if name else f"/api/{version_}"
    parameters = [
        {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}},
        {"name": "dryRun", "in": "query", "schema": {"type": "string"}},
    ]
    paths = {}
    for kind in found:
        middle = "/namespaces/{namespace}" if kind.namespaced else ""
        identity = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        operation = {"parameters": parameters, "x-kubernetes-group-version-kind": identity, "responses": {}}
        paths[f"{root}{middle}/{kind.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "sandbox", "version": MINOR}, "paths": paths, "components": {}}
