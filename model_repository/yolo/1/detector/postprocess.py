"""From a YOLO's output to detections, in numpy.

Gives what Ultralytics' `non_max_suppression` gives (best class of each anchor, class-aware greedy suppression after
https://arxiv.org/abs/1311.2524, at most 300), without its code: that is AGPL-3.0 and stays in the training image.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MAX_DETECTIONS = 300
MAX_CANDIDATES = 30_000
# Moving every class to a place of its own lets one pass treat all of them; the distance is the one that Ultralytics
# uses, so that rounding, too, falls the same way.
CLASS_OFFSET = np.float32(7680)
# Boxes whose overlaps are computed at once: more than most pictures have, and a matrix that stays in the cache.
BLOCK = 256


def is_end_to_end(shape: tuple[int, ...]) -> bool:
    """Whether an output (N, k, 6) is already final rows; a raw one is (N, 4 + classes, anchors), anchors >= 21."""
    return len(shape) == 3 and shape[2] == 6


def detections_of(output: Floats, confidence: Floats, iou: NDArray[np.float64]) -> list[Floats]:
    """Final detections of every image of a batch.

    Args:
        output: (N, 4 + classes, anchors), boxes as centre, width, height in input pixels; or (N, k, 6), final rows.
        confidence: (N,) least confidence of each image, exclusive.
        iou: (N,) overlap above which the less confident of two boxes of a class goes.

    Returns:
        For each image (n, 6): x1, y1, x2, y2, confidence, class; most confident first.
    """
    if is_end_to_end(output.shape):
        return [rows[rows[:, 4] > least][:MAX_DETECTIONS] for rows, least in zip(output, confidence, strict=True)]
    best = output[:, 4:].max(axis=1)
    return [
        _suppress(_candidates(image, np.flatnonzero(scores > least)), float(limit))
        for image, scores, least, limit in zip(output, best, confidence, iou, strict=True)
    ]


def _candidates(image: Floats, anchors: NDArray[np.intp]) -> Floats:
    """Rows (n, 6) of the chosen anchors of one raw output (4 + classes, anchors)."""
    chosen = image[:, anchors]
    rows = np.empty((anchors.size, 6), np.float32)
    half = chosen[2:4] / 2
    rows[:, 0:2] = (chosen[0:2] - half).T
    rows[:, 2:4] = (chosen[0:2] + half).T
    classes = chosen[4:].argmax(axis=0)
    rows[:, 4] = chosen[4 + classes, np.arange(anchors.size)]
    rows[:, 5] = classes
    return rows


def _suppress(rows: Floats, limit: float) -> Floats:
    """Greedy suppression within each class: rows (n, 6) to the kept ones, most confident first.

    Block by block, most confident first: what earlier blocks kept suppresses a whole block at once, and within a block
    all overlaps are computed at once. The result is that of one box after the other, for a tenth of the time.
    """
    rows = rows[np.argsort(-rows[:, 4], kind="stable")[:MAX_CANDIDATES]]
    boxes = rows[:, :4] + rows[:, 5:6] * CLASS_OFFSET
    least = _rounded_down(limit)
    kept = np.empty(0, np.intp)
    for start in range(0, len(rows), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(rows)))
        if kept.size:
            block = block[~_overlapping(boxes[kept], boxes[block], least).any(axis=0)]
        kept = np.concatenate([kept, block[_greedy(_overlapping(boxes[block], boxes[block], least))]])
        if kept.size >= MAX_DETECTIONS:
            break
    return rows[kept[:MAX_DETECTIONS]]


def _greedy(overlapping: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of n boxes, the best first, stay when each that stays removes those after it that it overlaps (n, n).

    Starts with all of them, and lets those that stay remove others until nothing changes: after k rounds the first k
    are right, and usually all after three. Each box's overlaps are bits, so that a round reads a few kilobytes.
    """
    count = len(overlapping)
    later = np.packbits(np.triu(overlapping, 1), axis=1)
    stays = np.ones(count, bool)
    while True:
        removed = np.bitwise_or.reduce(later[stays], axis=0)
        left = ~np.unpackbits(removed, count=count).view(bool)
        if np.array_equal(left, stays):
            return stays
        stays = left


def _overlapping(first: Floats, second: Floats, limit: np.float32) -> NDArray[np.bool_]:
    """Whether the overlap of each of n boxes (n, 4) with each of m is above the limit: (n, m).

    In place, in three matrices that stay in the processor's cache.
    """
    left, top, right, bottom = (np.ascontiguousarray(side) for side in first.T[:, :, None])
    others = np.ascontiguousarray(second.T)
    areas = (right - left) * (bottom - top), (others[2] - others[0]) * (others[3] - others[1])
    shared, other = np.minimum(right, others[2]), np.maximum(left, others[0])
    shared -= other
    np.maximum(shared, 0, out=shared)
    height = np.minimum(bottom, others[3])
    height -= np.maximum(top, others[1], out=other)
    shared *= np.maximum(height, 0, out=height)
    union = np.add(*areas, out=other)
    union -= shared
    with np.errstate(invalid="ignore", divide="ignore"):  # two empty boxes overlap by 0/0: not above any limit
        shared /= union
    return shared > limit


def _rounded_down(limit: float) -> np.float32:
    """The largest FP32 that is not above the limit: any FP32 is above the one exactly if it is above the other."""
    rounded = np.float32(limit)
    return rounded if float(rounded) <= limit else np.nextafter(rounded, np.float32(-np.inf))
