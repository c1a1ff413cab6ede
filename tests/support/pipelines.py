"""Pipelines' files as a person would write them, in a folder of the test's own."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

ENTRY = ROOT / "dags" / "pipelines" / "digits.py"
LETTERS: dict[str, Any] = {
    "registered_model": "letters-detector",
    "dataset": "s3://bucket/letters.zip",
    "train": {"model": "yolo11n.pt", "epochs": 3, "image_size": 160, "batch": 4},
    "stages": [{"environment": "staging", "app": "detector", "model": "letters"}],
}


def letters(**changes: Any) -> dict[str, Any]:
    """A pipeline's content; a key such as `train__epochs` changes what is inside a mapping."""
    content = copy.deepcopy(LETTERS)
    for key, value in changes.items():
        *outer, last = key.split("__")
        place = content
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return content


def write(folder: Path, name: str, content: dict[str, Any] | str) -> Path:
    """Write `<name>.yaml` and its entry for Airflow; return the former."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    shutil.copy(ENTRY, folder / f"{name}.py")
    return file
