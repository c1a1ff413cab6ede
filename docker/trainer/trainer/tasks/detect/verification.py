"""The images that the DAG sends to the server after a rollout, and the boxes that it has to answer with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.datasets.model import Sample
from trainer.networks import Network, to_batch
from trainer.tasks.detect.agreement import box_iou
from trainer.tasks.detect.detection import CONFIDENCE, IOU, has_margin, read_letterboxed, suppress

IMAGES = 8
SEARCHED = 200  # images looked at, at most

# Half of what the DAG lets the server differ by (plugins/lifecycle/verification/verify.py), which rounds otherwise.
LEAST_IOU = 0.925
SCORE_TOLERANCE = 0.05


@dataclass(frozen=True)
class _Clear:
    """An image on which the detections do not hang on a hair, and the lower precisions that find the same."""

    picture: np.ndarray
    rows: np.ndarray
    agreeing: frozenset[str]


def write_verification(
    detector: Network,
    samples: list[Sample],
    names: list[str],
    image_size: int,
    folder: Path,
    lower: Mapping[str, Sequence[Network]],
) -> tuple[int, set[str]]:
    """Write ``0.png`` … and ``expected.json``.

    Only images on which the detections do not hang on a hair: the server computes in another engine, and a box whose
    confidence is next to the threshold would come and go with nothing wrong. And only such on which every precision
    that may be served finds the same.

    Args:
        detector: the PyTorch model, whose boxes are expected.
        samples: of the test split.
        names: of the classes.
        image_size: the images are letterboxed to it.
        folder: to write to.
        lower: the model in the precisions that the server may choose, in each way that it may compile it.

    Returns:
        How many images there are (0: the model finds nothing clear), and the precisions that find other boxes on more
        than half of the clear images: the server must not choose them.
    """
    clear: list[_Clear] = []
    for sample in samples[:SEARCHED]:
        found = _clear(detector, lower, read_letterboxed(sample.image, image_size, image_size))
        clear += [found] if found else []
        if sum(each.agreeing == set(lower) for each in clear) == IMAGES:
            break
    wanted = _wanted(clear, set(lower))
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    for number, each in enumerate([each for each in clear if wanted <= each.agreeing][:IMAGES]):
        Image.fromarray(each.picture).save(folder / f"{number}.png")
        images.append({"file": f"{number}.png", "detections": [_rounded(row) for row in each.rows]})
    expected = {"image_size": image_size, "confidence": CONFIDENCE, "iou": IOU, "class_names": names, "images": images}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(images), set(lower) - wanted


def _clear(detector: Network, lower: Mapping[str, Sequence[Network]], picture: np.ndarray) -> _Clear | None:
    batch = to_batch([picture])
    raw = detector.raw(batch)
    rows = suppress(raw)[0]
    if not len(rows) or not has_margin(raw):
        return None
    agreeing = (
        name for name, ways in lower.items() if all(same_detections(rows, suppress(way.raw(batch))[0]) for way in ways)
    )
    return _Clear(picture, rows, frozenset(agreeing))


def _wanted(clear: list[_Clear], precisions: set[str]) -> set[str]:
    """Without the worst ones, until those that are left find the same together on half of the clear images."""
    wanted = set(precisions)
    while wanted and 2 * sum(wanted <= each.agreeing for each in clear) < len(clear):
        wanted.remove(min(sorted(wanted), key=lambda name: sum(name in each.agreeing for each in clear)))
    return wanted


def same_detections(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether rows (n, 6) are the same boxes as others, within what is half of the DAG's tolerances."""
    if len(found) != len(expected):
        return False
    overlaps = box_iou(expected[:, :4], found[:, :4])
    agree = (
        (overlaps >= LEAST_IOU)
        & (np.abs(expected[:, None, 4] - found[None, :, 4]) <= SCORE_TOLERANCE)
        & (expected[:, None, 5] == found[None, :, 5])
    )
    return bool(agree.any(0).all() and agree.any(1).all())


def _rounded(row: np.ndarray) -> list[float | int]:
    return [*(round(float(value), 3) for value in row[:4]), round(float(row[4]), 5), int(row[5])]
