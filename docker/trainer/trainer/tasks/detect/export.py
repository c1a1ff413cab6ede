"""A detector's weights to ONNX, for any batch and image size."""

from __future__ import annotations

from pathlib import Path

from trainer.export import write_onnx
from trainer.tasks.detect.detection import has_end_to_end_head


def export_onnx(weights: Path, target: Path, image_size: int) -> Path:
    """Write the ONNX of a weights file to ``target``.

    Suppression stays out of it: with it, Ultralytics' dynamic export finds nothing in any image after the first.
    """
    from ultralytics import YOLO

    model = YOLO(str(weights), task="detect")
    return write_onnx(model, target, image_size, nms=False if has_end_to_end_head(model.model) else None)
