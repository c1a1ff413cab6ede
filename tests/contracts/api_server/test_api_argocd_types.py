"""argocd-apps/ against Argo CD's own definitions, where `ARGOCD_CRDS` names the folder that has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.contracts.api_server.client import Api, Object
from tests.contracts.api_server.crds import CRDS
from tests.support.paths import ROOT

pytestmark = [pytest.mark.xdist_group("api-server"), pytest.mark.real_api_server, pytest.mark.bare_api_server]
PLURALS = {"Application": "applications", "ApplicationSet": "applicationsets", "AppProject": "appprojects"}


def manifests() -> dict[str, Object]:
    """Argo CD's objects by file and number."""
    found = {}
    for file in sorted((ROOT / "argocd-apps").rglob("*.yaml")):
        for number, document in enumerate(yaml.safe_load_all(file.read_text())):
            if document and str(document.get("apiVersion", "")).startswith("argoproj.io/"):
                found[f"{Path(file).relative_to(ROOT)}#{number}"] = document
    return found


@pytest.mark.parametrize("name", manifests())
def test_an_object_is_as_argo_cd_defines_it(api: Api, namespace: str, name: str) -> None:
    if not os.environ.get(CRDS):
        pytest.skip(f"{CRDS} names no folder with Argo CD's definitions")
    body = manifests()[name]
    body["metadata"]["namespace"] = namespace
    plural = PLURALS[body["kind"]]
    stored = api.apply(plural, namespace, body, "argocd-controller", fieldValidation="Strict").object()
    again = api.apply(plural, namespace, body, "argocd-controller", fieldValidation="Strict")
    assert again.meta["resourceVersion"] == stored["metadata"]["resourceVersion"]
    bad = {**body, "metadata": {**body["metadata"], "name": "bad"}, "spec": {**body["spec"], "tpyo": 1}}
    answer = api.apply(plural, namespace, bad, "argocd-controller", fieldValidation="Strict")
    assert answer.status in (400, 422, 500) and "tpyo" in answer.text
