"""What can be trained and served (`task` of a pipeline's file): a folder a kind, with its `KIND`, and its `answers`.

Nothing else knows a kind by its name. docs/tasks.md says how one is added.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path

from lifecycle.kinds.kind import Gate, Kind, Part

DEFAULT = "detect"
TAG = "task"  # of an MLflow run and of a version; those that were made before there was a second kind lack it


def every() -> dict[str, Kind]:
    """All kinds by their names."""
    folders = sorted(file.parent.name for file in Path(__file__).parent.glob("*/__init__.py"))
    return {name: find(name) for name in folders}


def find(name: str) -> Kind:
    """A kind by its name."""
    kind: Kind = importlib.import_module(f"lifecycle.kinds.{name}").KIND
    return kind


def tagged(tags: Mapping[str, str]) -> Kind:
    """The kind of an MLflow run, or of a version, by its tags."""
    return find(tags.get(TAG) or DEFAULT)


def of_outputs(outputs: Collection[str]) -> Kind:
    """The kind of a served model, by the names of its outputs; the default one where these tell none."""
    return next((kind for kind in every().values() if kind.output in outputs), find(DEFAULT))


__all__ = ["DEFAULT", "TAG", "Gate", "Kind", "Part", "every", "find", "of_outputs", "tagged"]
