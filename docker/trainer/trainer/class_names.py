"""Class names as a tag. A tag holds some thousand characters and no more, and a dataset may have a thousand classes."""

from __future__ import annotations

import ast
import json
from pathlib import Path

ARTIFACT = "dataset/class_names.json"  # the whole list, of every run
TAG_LIMIT = 5000  # characters that every release of MLflow keeps in a tag; it cuts or refuses longer ones


def names_tag(names: list[str]) -> str:
    """A JSON list in the order of class numbers; where that is too long, an object that says where the list is."""
    text = json.dumps(names, ensure_ascii=False)
    return text if len(text) <= TAG_LIMIT else json.dumps({"count": len(names), "artifact": ARTIFACT})


def names_of(tag: str, onnx_file: Path) -> list[str]:
    """The names of a version, by its tag, or by its ONNX where the tag only counts them.

    Raises:
        ValueError: neither names them.
    """
    told = json.loads(tag)
    if isinstance(told, list):
        return [str(name) for name in told]
    import onnx

    notes = {entry.key: entry.value for entry in onnx.load(str(onnx_file), load_external_data=False).metadata_props}
    found = ast.literal_eval(notes.get("names", ""))
    if not isinstance(found, dict):
        raise ValueError(f"{onnx_file.name} does not name its classes")
    return [str(found[number]) for number in sorted(found)]
