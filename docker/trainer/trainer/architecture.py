"""Finds out, without importing torch, whether ``--model`` names a detector that can be trained."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path

import yaml

from trainer.errors import InputError

END_TO_END_LEAST_SIZE = 128  # pixels: 16² + 8² + 4² = 336 anchors, the first size with 300
SHIPPED = Path(__file__).parent / "architectures"
DETECTION_HEADS = frozenset({"Detect", "v10Detect"})
# Weights that Ultralytics publishes and downloads by itself where there is a network.
PUBLISHED_WEIGHTS = re.compile(r"yolo(v8|v9|v10|11|12|26)[a-z]\.pt")


def find_model(model: str) -> str:
    """What Ultralytics is given for ``--model``: the path of an architecture that the image ships, or ``model`` itself.

    A file of that name in the pod comes first.
    """
    shipped = SHIPPED / model
    return str(shipped) if shipped.is_file() and not Path(model).is_file() else model


def check_model(model: str, image_size: int) -> None:
    """Raise InputError where ``model`` is neither a known detection architecture nor weights that can be had.

    ``image_size`` in pixels: an end-to-end architecture needs as many anchors as it gives boxes.
    """
    path = Path(find_model(model))
    if path.suffix in {".yaml", ".yml"}:
        _check_architecture(path, image_size)
    elif path.suffix == ".pt":
        if not path.is_file() and not PUBLISHED_WEIGHTS.fullmatch(model):
            raise InputError(
                f"The weights {model!r} do not exist in the pod. Give the path of a .pt file in the "
                "workspace, a published name such as yolo11n.pt (needs a network), or an architecture "
                "such as yolo11n.yaml."
            )
    else:
        raise InputError(
            f"The model {model!r} is neither an architecture (.yaml) nor weights (.pt). Give yolo11n.yaml, for example."
        )


def _check_architecture(path: Path, image_size: int) -> None:
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
