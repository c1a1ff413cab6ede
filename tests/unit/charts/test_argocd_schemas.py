"""Argo CD's objects against Argo CD's own types: those in argocd-apps/, and the Applications that follow from them."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.schemas.argocd import install
from tests.unit.charts.conftest import CHART, Manifest

ROOT = CHART.parents[1]
Check = Callable[[list[Manifest]], list[list[str]]]


def objects() -> dict[str, Manifest]:
    """Every object of Argo CD in the repository's manifests, by where it is."""
    found = {}
    for path in sorted((ROOT / "argocd-apps").rglob("*.yaml")):
        for number, document in enumerate(yaml.safe_load_all(path.read_text())):
            if document and str(document.get("apiVersion", "")).startswith("argoproj.io/"):
                found[f"{path.relative_to(ROOT)}#{number}"] = document
    return found


@pytest.fixture(scope="module")
def check() -> Check:
    """What Argo CD's types say of each object: nothing, or what is wrong."""
    folder = install.ensure()

    def run(manifests: list[Manifest]) -> list[list[str]]:
        command = [install.program("node"), str(install.HERE / "check.mjs"), str(folder)]
        done = subprocess.run(command, input=json.dumps(manifests), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_every_object_is_as_argo_cd_defines_it(check: Check) -> None:
    found = objects()
    assert {manifest["kind"] for manifest in found.values()} == {"Application", "ApplicationSet", "AppProject"}
    wrong = {name: texts for name, texts in zip(found, check(list(found.values())), strict=True) if texts}
    assert not wrong


def changed(manifest: Manifest, path: str, value: Any) -> Manifest:
    """A copy with one field set, or removed by None."""
    copied = copy.deepcopy(manifest)
    *above, last = path.split(".")
    at = copied
    for key in above:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return copied


WRONG: dict[str, tuple[str, str, Any, str]] = {
    "a typo": ("root.yaml", "spec.syncPolicy.automated.selfheal", True, "selfheal: unknown field"),
    "a typo in the template": ("applicationset.yaml", "spec.template.spec.source.helm.valueFile", ["x"], "valueFile"),
    "a word for a number": ("root.yaml", "spec.syncPolicy.retry.limit", "five", "limit"),
    "no project": ("root.yaml", "spec.project", None, "project"),
    "no destination": ("applicationset.yaml", "spec.template.spec.destination", None, "destination"),
    "a list for an object": ("project.yaml", "spec.destinations", {"namespace": "x"}, "destinations"),
    "another kind": ("root.yaml", "kind", "Aplication", "no kind of Argo CD"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_object_would_be_found(case: str, check: Check) -> None:
    name, path, value, text = WRONG[case]
    manifest = yaml.safe_load(Path(ROOT, "argocd-apps", name).read_text())
    (right,), (wrong,) = check([manifest]), check([changed(manifest, path, value)])
    assert right == []
    assert any(text in line for line in wrong), wrong
