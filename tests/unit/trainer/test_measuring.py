"""Boxes: suppression, mAP, the proof of the export, and which images can be compared exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from trainer import runtime

runtime.register_nms()

from trainer.datasets.model import Sample  # noqa: E402
from trainer.errors import Disagreement  # noqa: E402
from trainer.networks import to_batch  # noqa: E402
from trainer.tasks.detect.agreement import box_iou, prove_agreement  # noqa: E402
from trainer.tasks.detect.detection import has_margin, letterbox, suppress  # noqa: E402
from trainer.tasks.detect.measure import match, measure  # noqa: E402

GREY = 114


def _raw(boxes: list[tuple[float, ...]], classes: int = 2) -> np.ndarray:
    """Raw predictions (1, 4 + classes, n) of boxes (cx, cy, w, h, score, class)."""
    raw = np.zeros((1, 4 + classes, len(boxes)), np.float32)
    for column, (cx, cy, width, height, score, index) in enumerate(boxes):
        raw[0, :4, column] = cx, cy, width, height
        raw[0, 4 + int(index), column] = score
    return raw


def _slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if all(box_iou(boxes[row][None], boxes[other][None])[0, 0] <= threshold for other in kept):
            kept.append(int(row))
    return kept


@pytest.mark.parametrize("seed", range(10))
def test_our_suppression_is_that_of_the_definition(seed: int) -> None:
    import torch

    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (40, 2))], 1).astype(np.float32)
    scores = rng.uniform(0, 1, 40).astype(np.float32)
    found = runtime._nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5)
    assert found.tolist() == _slow_nms(boxes, scores, 0.5)


def test_suppression_keeps_the_best_of_a_class_in_every_image() -> None:
    one = _raw([(30, 30, 20, 20, 0.9, 0), (31, 30, 20, 20, 0.8, 0), (30, 30, 20, 20, 0.7, 1), (80, 80, 10, 10, 0.2, 0)])
    other = _raw([(50, 50, 10, 10, 0.6, 1), (0, 0, 1, 1, 0, 0), (0, 0, 1, 1, 0, 0), (0, 0, 1, 1, 0, 0)])
    first, second = suppress(np.concatenate([one, other]))
    assert first[:, 4:].tolist() == pytest.approx(np.array([[0.9, 0], [0.7, 1]], np.float32))
    assert first[0, :4].tolist() == [20, 20, 40, 40]
    assert second.tolist() == [pytest.approx([45, 45, 55, 55, 0.6, 1])]


@pytest.mark.parametrize(
    ("boxes", "clear"),
    [
        ([(30, 30, 20, 20, 0.9, 0)], True),
        ([(30, 30, 20, 20, 0.26, 0)], False),
        ([(30, 30, 20, 20, 0.24, 0)], False),
        # Two boxes on one object, whose overlap is next to the threshold.
        ([(30, 30, 20, 20, 0.9, 0), (33.5, 30, 20, 20, 0.6, 0)], False),
        # Either could be the better.
        ([(30, 30, 20, 20, 0.9, 0), (31, 30, 20, 20, 0.899, 0)], False),
        ([(30, 30, 20, 20, 0.9, 0), (31, 30, 20, 20, 0.6, 0)], True),
    ],
)
def test_images_that_hang_on_a_hair_are_known(boxes: list[tuple[float, ...]], clear: bool) -> None:
    assert has_margin(_raw(boxes)) is clear


def test_letterboxing_keeps_the_shape_and_pads_with_grey() -> None:
    picture, scale, left, top = letterbox(np.full((50, 100, 3), 200, np.uint8), 160, 160)
    assert (scale, left, top) == (1.6, 0, 40)
    assert (picture[:40] == GREY).all() and (picture[120:] == GREY).all() and (picture[40:120] == 200).all()
    batch = to_batch([picture])
    assert batch.shape == (1, 3, 160, 160) and batch.dtype == np.float32 and batch.max() == np.float32(200 / 255)


def test_a_detection_takes_one_box_and_a_box_one_detection() -> None:
    truth = np.array([[0, 0, 0, 10, 10], [1, 50, 50, 60, 60]], float)
    rows = np.array(
        [[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 9, 0.8, 0], [50, 50, 60, 60, 0.7, 0], [50, 50, 60, 57, 0.6, 1]], float
    )
    right = match(rows, truth)
    assert right[:, 0].tolist() == [True, False, False, True]
    assert right[3].tolist() == [True] * 5 + [False] * 5, "an overlap of 0.7 counts up to the threshold 0.7"


class _Painted:
    """A detector that finds the bright square of a picture, wherever the letterbox has put it."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong

    def raw(self, batch: np.ndarray) -> np.ndarray:
        found = []
        for picture in batch:
            ys, xs = np.nonzero(picture[0] > 0.9)
            box = ((xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2, np.ptp(xs) + 1, np.ptp(ys) + 1)
            found.append(_raw([(*box, 0.9, 0)]))
        raw = np.concatenate(found)
        if self.wrong == "zeros after the first":
            raw[1:] = 0
        elif self.wrong == "first for all":
            raw[1:] = raw[:1]
        elif self.wrong == "oblong" and batch.shape[2] != batch.shape[3]:
            raw[:, [0, 1]] = raw[:, [1, 0]]
        elif self.wrong == "score":
            raw[:, 4] -= 0.05
        elif self.wrong == "nan":
            raw[:, 4] = np.nan
        elif self.wrong == "shape":
            raw = raw[:, :, :0]
        return raw


@pytest.fixture
def squares(tmp_path: Path) -> list[Sample]:
    """Pictures of 100×60 with a white square on black, and its label."""
    samples = []
    for number in range(7):
        left, top = 5 + 9 * number, 3 + 4 * number
        picture = np.zeros((60, 100, 3), np.uint8)
        picture[top : top + 20, left : left + 20] = 255
        image, label = tmp_path / f"{number}.png", tmp_path / f"{number}.txt"
        Image.fromarray(picture).save(image)
        label.write_text(f"0 {(left + 10) / 100} {(top + 10) / 60} 0.2 {20 / 60}\n")
        samples.append(Sample(image.name, image, label))
    return samples


def test_a_detector_that_finds_everything_has_full_marks(squares: list[Sample], tmp_path: Path) -> None:
    found = measure(_Painted(), squares, ["square", "circle"], 160)
    assert (found.map50, found.recall, found.images) == (
        pytest.approx(0.995, abs=0.01),
        pytest.approx(1.0, abs=1e-3),
        7,
    )
    assert found.map50_95 > 0.85
    assert [row[:2] for row in found.by_class] == [("square", 7)]
    found.write_csv(tmp_path / "by_class.csv")
    assert (tmp_path / "by_class.csv").read_text().startswith("class,boxes,precision,recall,AP50,AP50-95\nsquare,7,")


def test_a_detector_that_takes_the_first_image_for_all_has_few(squares: list[Sample]) -> None:
    assert measure(_Painted("first for all"), squares, ["square", "circle"], 160).map50 < 0.3


def test_detectors_that_find_the_same_agree(squares: list[Sample]) -> None:
    agreement: Any = prove_agreement(_Painted(), _Painted(), [sample.image for sample in squares], 96)
    assert (agreement.images, agreement.comparisons, agreement.detections) == (7, 28, 28)
    assert agreement.sizes == ((96, 96), (128, 192))
    assert agreement.to_json()["least_iou"] == 1.0


@pytest.mark.parametrize("wrong", ["zeros after the first", "first for all", "oblong", "score", "nan", "shape"])
def test_an_export_that_is_wrong_somewhere_is_found_out(wrong: str, squares: list[Sample]) -> None:
    with pytest.raises(Disagreement, match="does not find what the PyTorch model finds"):
        prove_agreement(_Painted(), _Painted(wrong), [sample.image for sample in squares], 96)


@pytest.mark.parametrize(("text", "count"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None)])
def test_the_containers_cpu_limit_counts(text: str, count: int | None, tmp_path: Path) -> None:
    limit = tmp_path / "cpu.max"
    without = runtime.cpu_count(limit)
    limit.write_text(text + "\n")
    assert runtime.cpu_count(limit) == (without if count is None else min(count, without))
