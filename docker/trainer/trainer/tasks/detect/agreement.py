"""Proves that an ONNX file finds what the PyTorch model finds, in batches and at sizes that it was not traced with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainer.errors import Disagreement
from trainer.networks import Network, to_batch
from trainer.tasks.detect.detection import CONFIDENCE, has_margin, is_end_to_end, read_letterboxed, suppress

SCORE_TOLERANCE = 0.002
BOX_TOLERANCE = 0.5  # pixels
LEAST_IOU = 0.95  # between the two boxes of a detection
BATCH = 5  # different images; the export was traced with one


@dataclass
class Agreement:
    """What was compared, and the largest differences found."""

    images: int = 0
    comparisons: int = 0
    detections: int = 0
    sizes: tuple[tuple[int, int], ...] = ()
    largest_score_difference: float = 0.0
    least_iou: float = 1.0
    largest_box_difference: float = 0.0

    @property
    def words(self) -> str:
        """For the log."""
        return (
            f"{self.comparisons} comparisons, {self.detections} boxes, scores within "
            f"{self.largest_score_difference:.6f}"
        )

    def to_json(self) -> dict[str, object]:
        """For the run's tag, with the tolerances."""
        return asdict(self) | {
            "confidence": CONFIDENCE,
            "score_tolerance": SCORE_TOLERANCE,
            "iou_tolerance": LEAST_IOU,
            "box_tolerance_pixels": BOX_TOLERANCE,
        }


def prove_agreement(reference: Network, candidate: Network, images: list[Path], image_size: int) -> Agreement:
    """Compare on each image alone, on batches of different images, and all that again at a second, oblong size.

    Args:
        reference: the PyTorch model.
        candidate: the ONNX.
        images: files of the val split.
        image_size: that of the training, in pixels.

    Raises:
        Disagreement: at the first difference above the tolerances.
    """
    sizes = ((image_size, image_size), (image_size + 32, image_size + 96))
    agreement = Agreement(images=len(images), sizes=sizes)
    for height, width in sizes:
        pictures = [read_letterboxed(path, height, width) for path in images]
        expected = [reference.raw(to_batch([picture])) for picture in pictures]
        for batch in (1, BATCH):
            for start in range(0, len(pictures), batch):
                found = candidate.raw(to_batch(pictures[start : start + batch]))
                for offset in range(len(found)):
                    where = f"{images[start + offset].name} at {height}×{width} in a batch of {len(found)}"
                    _compare(expected[start + offset], found[offset : offset + 1], agreement, where)
    return agreement


def _compare(expected: np.ndarray, found: np.ndarray, agreement: Agreement, where: str) -> None:
    """Compare the raw predictions of one image, (1, 4 + classes, anchors) or (1, 300, 6), then its detections."""
    if found.shape != expected.shape:
        raise _disagreement(where, f"its output has shape {found.shape}, the model's {expected.shape}")
    if is_end_to_end(expected):
        # Sorted by score, in which equal ones may stand in any order: their boxes are compared as detections.
        _within(expected[0, :, 4], found[0, :, 4], np.zeros(0), np.zeros(0), agreement, where)
    else:
        _within(expected[0, 4:], found[0, 4:], expected[0, :4], found[0, :4], agreement, where)
    agreement.comparisons += 1
    if has_margin(expected):
        _compare_detections(suppress(expected)[0], suppress(found)[0], agreement, where)


def _within(
    scores: np.ndarray,
    found_scores: np.ndarray,
    boxes: np.ndarray,
    found_boxes: np.ndarray,
    agreement: Agreement,
    where: str,
) -> None:
    """Every score and every box of one image; a model too weak to detect anything is proved by these alone."""
    score = float(np.abs(found_scores - scores).max(initial=0.0))
    box = float(np.abs(found_boxes - boxes).max(initial=0.0))
    agreement.largest_score_difference = max(agreement.largest_score_difference, score)
    agreement.largest_box_difference = max(agreement.largest_box_difference, box)
    # Written so that NaN fails.
    if not (score <= SCORE_TOLERANCE and box <= BOX_TOLERANCE):
        raise _disagreement(where, f"scores differ by up to {score:.4f} and boxes by up to {box:.2f} pixels")


def _compare_detections(expected: np.ndarray, found: np.ndarray, agreement: Agreement, where: str) -> None:
    """The same boxes after suppression: as many, and for each one of the same class, place and score."""
    if len(found) != len(expected):
        raise _disagreement(where, f"it finds {len(found)} boxes, the model {len(expected)}")
    for row in expected:
        same_class = found[found[:, 5] == row[5]]
        overlaps = box_iou(row[None, :4], same_class[:, :4])[0]
        best = int(overlaps.argmax()) if len(overlaps) else -1
        if best < 0 or overlaps[best] < LEAST_IOU or abs(same_class[best, 4] - row[4]) > SCORE_TOLERANCE:
            raise _disagreement(where, f"it has no counterpart of the box {np.round(row, 3).tolist()}")
        agreement.least_iou = min(agreement.least_iou, float(overlaps[best]))
        agreement.largest_score_difference = max(
            agreement.largest_score_difference, float(abs(same_class[best, 4] - row[4]))
        )
        agreement.detections += 1


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Overlap of each of n boxes with each of m, x1 y1 x2 y2: (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = (high - low).clip(min=0).prod(2)
    areas = [(boxes[:, 2:4] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)


def _disagreement(where: str, what: str) -> Disagreement:
    return Disagreement(
        f"The ONNX does not find what the PyTorch model finds: for {where}, {what}. It was not logged. "
        "The exporter, or ONNX Runtime, is not right for this architecture; use another version or "
        "architecture."
    )
