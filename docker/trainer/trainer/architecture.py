"""Finds an architecture's file, and what it ends in, without importing torch."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path
from typing import Any

import yaml

from trainer.errors import InputError
from trainer.weights.reference import find_file

SHIPPED = Path(__file__).parent / "architectures"


def find_architecture(model: str, workspace: Path) -> str:
    """What Ultralytics is given: the path of a team's own file or of one in the image, or a name it knows."""
    if file := find_file(model, workspace):
        return str(file)
    return str(SHIPPED / model) if (SHIPPED / model).is_file() else model


def read_architecture(model: str, workspace: Path, example: str) -> tuple[str, dict[str, Any]]:
    """The head's name, and the content, of an architecture's file.

    Args:
        model: its name or path, which may be relative to the workspace.
        workspace: in which a team's own file may be.
        example: an architecture of the task, for messages.

    Raises:
        InputError: there is none of that name, or it is none.
    """
    path = Path(find_architecture(model, workspace))
    file = path if path.is_file() else _builtin(path.name, example)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        return str(content["head"][-1][-2]), content
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"The architecture {path.name!r} is not an Ultralytics model file with a head "
            f"({type(error).__name__}). Mend it, or give {example}."
        ) from error


def _builtin(name: str, example: str) -> Path:
    """The file of an architecture that Ultralytics brings; the letter of its size is no part of the file's name."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise RuntimeError("ultralytics is not installed in this image.")
    known = {file.name: file for file in (Path(spec.origin).parent / "cfg/models").rglob("*.yaml")}
    plain = re.sub(r"(\d+)([nslmxtbce])(.*)$", r"\1\3", name)
    if file := known.get(name) or known.get(plain):
        return file
    sized = [re.sub(r"^(yolov?\d+)", r"\1n", known_name, count=1) for known_name in known]
    shipped = [file.name for file in SHIPPED.glob("*.yaml")]
    close = difflib.get_close_matches(name, [*sized, *shipped], 3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise InputError(
        f"The architecture {name!r} is unknown: it is no file in the pod, and neither Ultralytics nor this image has "
        f"one of that name.{hint} Give {example}, for example."
    )
