"""The detections are those that Ultralytics' own non_max_suppression gives, computed beside it in its environment."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detector.postprocess import MAX_DETECTIONS, detections_of, is_end_to_end

ROOT = Path(__file__).resolve().parents[3]
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"


def raw_output(
    random: np.random.Generator, images: int, classes: int, objects: int, anchors: int, side: float = 640
) -> np.ndarray[Any, Any]:
    """A YOLO's raw output: clusters of overlapping boxes around objects, many clear losers, scores of every size."""
    boxes = np.empty((images, 4, anchors), np.float32)
    scores = random.beta(0.3, 6, (images, classes, anchors)).astype(np.float32)
    for image in range(images):
        centres, sizes = random.uniform(0, side, (objects, 2)), random.uniform(8, side / 3, (objects, 2))
        which = random.integers(0, objects, anchors)
        spread = sizes[which] * random.normal(0, 0.12, (anchors, 2))
        boxes[image, :2] = (centres[which] + spread).T
        boxes[image, 2:] = (sizes[which] * random.lognormal(0, 0.15, (anchors, 2))).T
        kinds = (which * 7) % classes
        hit = random.random(anchors) < 0.3
        scores[image, kinds[hit], np.flatnonzero(hit)] = random.uniform(0.05, 1, hit.sum())
    return np.concatenate([boxes, scores], axis=1)


def cases() -> dict[str, tuple[np.ndarray[Any, Any], float, float]]:
    """Name: raw output, confidence, IoU."""
    random = np.random.default_rng(20)
    nothing = raw_output(random, 2, 4, 5, 300)
    nothing[0, 4:] = 0.1
    end_to_end = np.concatenate(
        [
            random.uniform(0, 640, (3, 300, 4)),
            -np.sort(-random.random((3, 300, 1)), axis=1),
            random.integers(0, 80, (3, 300, 1)),
        ],
        axis=2,
    ).astype(np.float32)
    return {
        "one_class": (raw_output(random, 3, 1, 6, 1029), 0.25, 0.7),
        "ten_classes": (raw_output(random, 4, 10, 12, 525, 160), 0.25, 0.7),
        "eighty_classes": (raw_output(random, 2, 80, 30, 4200), 0.25, 0.7),
        "more_than_the_most": (raw_output(random, 1, 80, 600, 4200), 0.1, 0.9),
        "low_confidence": (raw_output(random, 1, 10, 30, 2100), 0.001, 0.6),
        "tight": (raw_output(random, 2, 5, 9, 2100), 0.4, 0.1),
        "one_image_without": (nothing, 0.25, 0.7),
        "end_to_end": (end_to_end, 0.25, 0.7),
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray[Any, Any]]]:
    """What Ultralytics makes of every case."""
    folder = tmp_path_factory.mktemp("nms")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, (output, confidence, iou) in cases().items():
        arrays |= {f"output_{name}": output, f"thresholds_{name}": np.array([confidence, iou])}
    np.savez(folder / "in.npz", **arrays)
    script = Path(__file__).with_name("reference_nms.py")
    command = [str(TRAINER_PYTHON), str(script), str(folder / "in.npz"), str(folder / "out.npz")]
    subprocess.run(
        command, check=True, timeout=300, env=os.environ | {"YOLO_CONFIG_DIR": str(folder), "HOME": str(folder)}
    )
    with np.load(folder / "out.npz") as rows:
        return {
            name: [rows[f"rows_{name}_{index}"] for index in range(len(output))]
            for name, (output, _, _) in cases().items()
        }


@pytest.mark.parametrize("name", cases())
def test_equal_to_ultralytics(name: str, reference: dict[str, list[np.ndarray[Any, Any]]]) -> None:
    output, confidence, iou = cases()[name]
    found = detections_of(output, np.full(len(output), confidence, np.float32), np.full(len(output), iou))
    assert [len(rows) for rows in found] == [len(rows) for rows in reference[name]]
    assert sum(len(rows) for rows in found) > 0
    for ours, theirs in zip(found, reference[name], strict=True):
        np.testing.assert_array_equal(ours[:, 4:], theirs[:, 4:])
        np.testing.assert_allclose(ours[:, :4], theirs[:, :4], atol=1e-3)


def test_the_cases_reach_the_limit_and_the_empty_image(reference: dict[str, list[np.ndarray[Any, Any]]]) -> None:
    assert len(reference["more_than_the_most"][0]) == MAX_DETECTIONS
    assert len(reference["one_image_without"][0]) == 0 < len(reference["one_image_without"][1])


def test_each_image_has_its_own_thresholds() -> None:
    output = np.repeat(raw_output(np.random.default_rng(3), 1, 3, 6, 525), 3, axis=0)
    loose, sure, apart = detections_of(output, np.float32([0.1, 0.8, 0.1]), np.array([0.7, 0.7, 0.05]))
    assert len(sure) < len(loose) and len(apart) < len(loose)
    assert sure[:, 4].min() > 0.8


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    output = np.zeros((1, 6, 2), np.float32)
    output[0, :4] = np.float32([[50], [50], [20], [20]])
    output[0, 4:] = [[0.9, 0], [0, 0.8]]
    (rows,) = detections_of(output, np.float32([0.25]), np.array([0.5]))
    np.testing.assert_allclose(rows, [[40, 40, 60, 60, 0.9, 0], [40, 40, 60, 60, 0.8, 1]])


def test_of_equally_confident_boxes_the_first_anchor_wins() -> None:
    """As torchvision's nms does; Ultralytics' own fallback leaves it to the sorting algorithm."""
    output = np.zeros((1, 5, 20), np.float32)
    output[0, :2] = np.arange(20) * 0.1 + 50
    output[0, 2:4] = 20
    output[0, 4] = 0.5
    (rows,) = detections_of(output, np.float32([0.25]), np.array([0.5]))
    np.testing.assert_allclose(rows, [[40, 40, 60, 60, 0.5, 0]])


def test_scores_that_are_not_numbers_are_no_detections() -> None:
    output = np.full((1, 6, 30), np.nan, np.float32)
    (rows,) = detections_of(output, np.float32([0.25]), np.array([0.5]))
    assert rows.shape == (0, 6)


def test_which_outputs_are_final_rows() -> None:
    assert is_end_to_end((4, 300, 6))
    assert not is_end_to_end((4, 84, 8400))
    assert not is_end_to_end((4, 5, 21))
