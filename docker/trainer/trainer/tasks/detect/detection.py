"""A detector as it is served: letterboxed images in, boxes out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from trainer.pictures import read_rgb

PADDING = 114  # grey, as Ultralytics pads
IOU = 0.7  # of non-maximum suppression
CONFIDENCE = 0.25  # what the server takes for a detection
MOST_DETECTIONS = 300  # an image


class TorchDetector:
    """The PyTorch model of a weights file, on the CPU in FP32."""

    def __init__(self, weights: Path) -> None:
        from ultralytics.nn.tasks import load_checkpoint

        model, _ = load_checkpoint(str(weights))
        self.end_to_end = has_end_to_end_head(model)
        # Before fuse(), which drops the head's branch that is not used.
        model.end2end = self.end_to_end
        self._model = model.float().cpu().eval().fuse()

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """Batch (n, 3, h, w) FP32 RGB 0–1 to raw predictions (n, 4 + classes, anchors) or (n, 300, 6)."""
        import torch

        with torch.inference_mode():
            output = self._model(torch.from_numpy(batch))
        return (output[0] if isinstance(output, (tuple, list)) else output).numpy()


def has_end_to_end_head(model: Any) -> bool:
    """Whether an architecture has a branch that needs no suppression (yolo26, yolov10)."""
    return getattr(model.model[-1], "one2one_cv2", None) is not None


def letterbox(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, float, int, int]:
    """Fit an RGB image (h, w, 3) into height × width pixels, its shape kept, the rest grey.

    Returns:
        The picture, the scale, and the columns and rows of padding before it.
    """
    import cv2

    scale = min(height / image.shape[0], width / image.shape[1])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    resized = image if inner == image.shape[1::-1] else cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas = np.full((height, width, 3), PADDING, np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas, scale, left, top


def read_letterboxed(path: Path, height: int, width: int) -> np.ndarray:
    """An image file, letterboxed (h, w, 3)."""
    return letterbox(read_rgb(path), height, width)[0]


def is_end_to_end(raw: np.ndarray) -> bool:
    """Whether raw predictions are (n, boxes, 6), finished, and not (n, 4 + classes, anchors)."""
    return raw.shape[2] == 6


def suppress(
    raw: np.ndarray, confidence: float = CONFIDENCE, iou: float = IOU, *, every_class: bool = False
) -> list[np.ndarray]:
    """Raw predictions to rows (boxes, 6) x1 y1 x2 y2 confidence class for each image, best first.

    ``every_class`` lets a box be several classes at once, as mAP is measured; a server takes the best alone.
    """
    import torch
    from ultralytics.utils.nms import non_max_suppression

    # Ultralytics gives up after a time that depends on the number of images in the call, with a mere warning; one
    # image at a time is always done.
    rows = [
        non_max_suppression(
            torch.from_numpy(image[None]),
            confidence,
            iou,
            multi_label=every_class,
            max_det=MOST_DETECTIONS,
            max_time_img=math.inf,
            end2end=is_end_to_end(raw),
        )[0]
        for image in raw
    ]
    return [row.numpy() for row in rows]


def has_margin(raw: np.ndarray, confidence: float = CONFIDENCE, iou: float = IOU, margin: float = 0.03) -> bool:
    """Whether one image's detections stay the same when thresholds move by ``margin`` and scores by 2 %.

    Another runtime rounds otherwise; a box whose confidence is 0.2501 here may be 0.2499 there, and so be missing, or
    another of two boxes on one object may be the better, with nothing wrong. Only images without such boxes can be
    compared exactly. ``raw`` is (1, 4 + classes, anchors) or (1, 300, 6).
    """
    expected = suppress(raw, confidence, iou)[0]
    thresholds = [(confidence - margin, iou), (confidence + margin, iou)]
    if not is_end_to_end(raw):
        thresholds += [(confidence, iou - margin), (confidence, iou + margin)]
        for sign in (1.0, -1.0):
            jittered = raw.copy()
            jittered[:, 4:, ::2] *= 1 + 0.02 * sign
            if not _same_boxes(suppress(jittered, confidence, iou)[0], expected):
                return False
    return all(_same_boxes(suppress(raw, *pair)[0], expected) for pair in thresholds)


def _same_boxes(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two sets of rows (n, 6) have the same boxes and classes, in whatever order."""
    order = [rows[np.lexsort(rows[:, [5, 3, 2, 1, 0]].T)] for rows in (first, second)]
    columns = [0, 1, 2, 3, 5]
    return len(first) == len(second) and np.array_equal(order[0][:, columns], order[1][:, columns])
