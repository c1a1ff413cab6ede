"""Argo CD's kinds on an API server: its published definitions, or the least that stores them.

`ARGOCD_CRDS` names a folder with Argo CD's own files (`manifests/crds` of its repository). Without it, the definitions
here have its names, scope and subresources, and take any fields.
"""

from __future__ import annotations

import time
from pathlib import Path

import yaml

from tests.contracts.api_server.client import Api, Object

CRDS = "ARGOCD_CRDS"
# Kind, plural, short names, whether the status is written by a subresource: Applications have none.
KINDS = (
    ("Application", "applications", ["app", "apps"], False),
    ("ApplicationSet", "applicationsets", ["appset", "appsets"], True),
    ("AppProject", "appprojects", ["appproj", "appprojs"], False),
)
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definitions(folder: Path | None = None) -> list[Object]:
    """CustomResourceDefinitions, those of a folder or the least."""
    if folder:
        return [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*-crd.yaml"))]
    return [_least(*kind) for kind in KINDS]


def _least(kind: str, plural: str, short: list[str], status: bool) -> Object:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": dict.fromkeys(("spec", "status", "operation"), anything)}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {**schema, "required": ["metadata", "spec"]}},
        "subresources": {"status": {}} if status else {},
    }
    names = {
        "kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(), "shortNames": short,
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.argoproj.io"},
        "spec": {"group": "argoproj.io", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def established(api: Api, definition: Object) -> None:
    """Create a definition and wait until its kind is served."""
    name = definition["metadata"]["name"]
    api.ask("POST", PATH, definition).object()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = api.ask("GET", f"{PATH}/{name}").object()
        conditions = {each["type"]: each["status"] for each in (found.get("status") or {}).get("conditions") or []}
        if conditions.get("Established") == "True" and api.get(name.partition(".")[0]).status == 200:
            return
        time.sleep(0.1)
    raise AssertionError(f"the API server does not serve {name}")
