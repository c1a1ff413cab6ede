"""Which architectures and weights are a plain detector, the thing that is trained and served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.architecture import read_architecture
from trainer.errors import InputError

EXAMPLE = "yolo11n.yaml"
END_TO_END_LEAST_SIZE = 128  # pixels: 16² + 8² + 4² = 336 anchors, the first size with 300
DETECTION_HEADS = frozenset({"Detect", "v10Detect"})


def check_architecture(model: str, image_size: int, workspace: Path) -> None:
    """Raise InputError where ``model`` is not a known detection architecture.

    Args:
        model: its name or path, which may be relative to the workspace.
        image_size: in pixels; an end-to-end architecture needs as many anchors as it gives boxes.
        workspace: in which a team's own file may be.
    """
    head, content = read_architecture(model, workspace, EXAMPLE)
    name = Path(model).name
    if head not in DETECTION_HEADS:
        raise InputError(
            f"The architecture {name!r} ends in {head}: it is not a plain detector, which is what "
            f"the task detect trains and serves. Give one such as {EXAMPLE}."
        )
    if image_size < END_TO_END_LEAST_SIZE and (content.get("end2end") or head == "v10Detect"):
        raise InputError(
            f"The architecture {name!r} gives 300 boxes an image without suppression, and one of {image_size} "
            f"pixels has fewer places than that. Set --image-size to {END_TO_END_LEAST_SIZE} or more, or train another "
            f"architecture, such as {EXAMPLE}."
        )


def check_layers(model: Any, name: str, image_size: int) -> None:
    """Raise InputError where a loaded model is none, or none for images of that size; ``name``: of its weights."""
    last = model.model[-1]
    head = type(last).__name__
    if head not in DETECTION_HEADS:
        raise InputError(
            f"The weights {name} end in {head}: they are not a plain detector's, which is what the task detect trains "
            "and serves. Give a detector's, such as yolo11n.pt."
        )
    if image_size < END_TO_END_LEAST_SIZE and getattr(last, "one2one_cv2", None) is not None:
        raise InputError(
            f"The weights {name} give 300 boxes an image without suppression, and one of {image_size} pixels has fewer "
            f"places than that. Set --image-size to {END_TO_END_LEAST_SIZE} or more, or give others, such as "
            "yolo11n.pt."
        )
