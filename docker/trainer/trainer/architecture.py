"""Finds out, without importing torch, whether an architecture is a detector that can be trained."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path

import yaml

from trainer.errors import InputError
from trainer.weights.reference import find_file

END_TO_END_LEAST_SIZE = 128  # pixels: 16² + 8² + 4² = 336 anchors, the first size with 300
SHIPPED = Path(__file__).parent / "architectures"
DETECTION_HEADS = frozenset({"Detect", "v10Detect"})


def find_architecture(model: str, workspace: Path) -> str:
    """What Ultralytics is given: the path of a team's own file or of one in the image, or a name it knows."""
    if file := find_file(model, workspace):
        return str(file)
    return str(SHIPPED / model) if (SHIPPED / model).is_file() else model


def check_architecture(model: str, image_size: int, workspace: Path) -> None:
    """Raise InputError where ``model`` is not a known detection architecture.

    Args:
        model: its name or path, which may be relative to the workspace.
        image_size: in pixels; an end-to-end architecture needs as many anchors as it gives boxes.
        workspace: in which a team's own file may be.
    """
    path = Path(find_architecture(model, workspace))
    file = path if path.is_file() else _builtin(path.name)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        head = content["head"][-1][-2]
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"The architecture {path.name!r} is not an Ultralytics model file with a head "
            f"({type(error).__name__}). Mend it, or give yolo11n.yaml."
        ) from error
    if head not in DETECTION_HEADS:
        raise InputError(
            f"The architecture {path.name!r} ends in {head}: it is not a plain detector, which is what "
            "is trained and served here. Give one such as yolo11n.yaml."
        )
    if image_size < END_TO_END_LEAST_SIZE and (content.get("end2end") or head == "v10Detect"):
        raise InputError(
            f"The architecture {path.name!r} gives 300 boxes an image without suppression, and one of {image_size} "
            f"pixels has fewer places than that. Set --image-size to {END_TO_END_LEAST_SIZE} or more, or train another "
            "architecture, such as yolo11n.yaml."
        )


def _builtin(name: str) -> Path:
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
        f"one of that name.{hint} Give yolo11n.yaml, for example."
    )
