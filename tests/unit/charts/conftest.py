"""Rendering charts/triton with the real Helm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
CHART = Path(__file__).resolve().parents[3] / "charts" / "triton"
SHA256 = "5f2d2a3a8d2b6b6d5f1f0f4f2c4b3a291817161514131211100f0e0d0c0b0a09"


def overlay(base: Manifest, over: Manifest) -> Manifest:
    """The values with others laid over them, mapping by mapping."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = overlay(result[key], value) if both else value
    return result


@pytest.fixture
def model() -> Manifest:
    """One model that has a version."""
    return {
        "name": "digits",
        "registeredModel": "digits-detector",
        "version": 3,
        "sha256": SHA256,
        "runId": "8c1f0b6a4d5e4f7a9b8c7d6e5f4a3b2c",
        "codeCommit": "",
        "hold": False,
    }


@pytest.fixture
def values(model: Manifest) -> Manifest:
    """The least that serves one model."""
    return {"models": [model], "modelRepository": {"gitSync": {"repo": "https://example.com/yolo.git"}}}


@pytest.fixture
def files() -> Callable[[Manifest], dict[str, str]]:
    """Render to text, by template."""

    def render(values: Manifest) -> dict[str, str]:
        with helm_python.Chart.load(CHART) as chart:
            return chart.render(values, name="detector", namespace="staging")

    return render


@pytest.fixture
def render(files: Callable[[Manifest], dict[str, str]]) -> Render:
    """Render to objects; ``only`` picks one kind, ``hooks`` what `helm test` alone makes."""

    def objects(values: Manifest, only: str = "", hooks: bool = False) -> list[Manifest]:
        texts = (text for name, text in sorted(files(values).items()) if not name.endswith("NOTES.txt"))
        found = [document for text in texts for document in yaml.safe_load_all(text) if document]
        mine = [each for each in found if ("helm.sh/hook" in each["metadata"].get("annotations", {})) is hooks]
        return [each for each in mine if not only or each["kind"] == only]

    return objects
