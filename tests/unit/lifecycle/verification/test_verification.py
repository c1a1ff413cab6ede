"""Comparing what is served with what was trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle.errors import LifecycleError
from lifecycle.kinds.detect.answers import Sample, SampleSet, compare, iou_matrix, read_samples
from lifecycle.model.pin import Pin
from lifecycle.verification import (
    AnswersDiffer,
    SamplesUnusable,
    ServingError,
    ServingUnavailable,
    WrongVersionServed,
    check_identity,
    typed_errors,
)
from PIL import Image
from yolo_client import DetectorError, NotServing, RequestRefused, ServedModel, WrongModelServed

A: list[float] = [10, 10, 50, 50, 0.9, 1]
B: list[float] = [60, 60, 90, 90, 0.7, 2]
SERVED = ServedModel("digits-detector", 3, "run", "ab" * 32, ("zero", "one"), 160)

SET = SampleSet(0.25, 0.7, ())


def rows(*entries: list[float]) -> np.ndarray:
    """Rows (n, 6)."""
    return np.array(entries, np.float32).reshape(-1, 6)


def sample(*entries: list[float]) -> Sample:
    """A picture of 100 pixels with these expected rows."""
    return Sample("7.png", np.zeros((100, 100, 3), np.uint8), rows(*entries))


def changed(row: list[float], **changes: float) -> list[float]:
    """A row with x1, confidence or class changed."""
    index = {"x1": 0, "confidence": 4, "kind": 5}
    new = list(row)
    for key, value in changes.items():
        new[index[key]] = value
    return new


def test_the_same_boxes_in_another_order() -> None:
    report = compare(sample(A, B), rows(B, A), SET)
    assert (report.boxes, report.least_iou) == (2, 1.0)


def test_nothing_expected_and_nothing_found() -> None:
    assert compare(sample(), rows(), SET).boxes == 0


def test_small_differences_are_reported() -> None:
    report = compare(sample(A), rows(changed(A, x1=11, confidence=0.87)), SET)
    assert report.boxes == 1
    assert report.least_iou == pytest.approx(39 / 40)
    assert report.most_confidence_difference == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("expected", "found", "whose"),
    [
        ([A, B], [A], "7.png: the trained model finds class 2"),
        ([A], [A, B], "7.png: the served model finds class 2"),
        ([A], [changed(A, kind=3)], "7.png: the trained model finds class 1"),
        ([A], [changed(A, x1=18)], "7.png: the trained model finds class 1"),
        ([A], [changed(A, confidence=0.75)], "7.png: the trained model finds class 1"),
        ([A], [A, A], "7.png: the served model finds class 1"),
        ([A, A], [A], "7.png: the trained model finds class 1"),
        ([], [B], "7.png: the served model finds class 2"),
    ],
    ids=["missing", "extra", "class", "place", "confidence", "twice", "once only", "nothing expected"],
)
def test_differences_are_named(expected: list[list[float]], found: list[list[float]], whose: str) -> None:
    with pytest.raises(AnswersDiffer, match=whose):
        compare(sample(*expected), rows(*found), SET)


def test_at_the_threshold_a_box_may_be_on_one_side_only() -> None:
    barely = changed(B, confidence=0.27)
    assert compare(sample(A, barely), rows(A), SET).boxes == 1
    assert compare(sample(A), rows(A, barely), SET).boxes == 1
    with pytest.raises(AnswersDiffer):
        compare(sample(A, changed(B, confidence=0.45)), rows(A), SET)


def test_what_is_outside_the_picture_does_not_count() -> None:
    assert compare(sample([0, 0, 50, 50, 0.9, 1]), rows([-20, -20, 50, 50, 0.9, 1]), SET).least_iou == 1


def test_iou_of_empty_boxes_is_nought() -> None:
    empty = np.zeros((1, 4), np.float32)
    assert iou_matrix(empty, empty)[0, 0] == 0


def test_identity() -> None:
    pin = Pin(3, "ab" * 32, "run", "c" * 40)
    for commit in ("", "c" * 40):  # code that is not from Git tells none
        check_identity(replace(SERVED, code_commit=commit), pin, "http://here")
    check_identity(replace(SERVED, code_commit="d" * 40), replace(pin, code_commit=""), "http://here")
    with pytest.raises(WrongVersionServed, match="with the code of dddddddddddd, but that of cccccccccccc is expected"):
        check_identity(replace(SERVED, code_commit="d" * 40), pin, "http://here")
    with pytest.raises(WrongVersionServed, match="serves 'digits-detector' version 3, but version 4 is expected"):
        check_identity(SERVED, replace(pin, version=4), "http://here")
    with pytest.raises(WrongVersionServed, match=f"sha256 {'ab' * 32}, but {'cd' * 32} is expected"):
        check_identity(SERVED, replace(pin, sha256="cd" * 32), "http://here")


@pytest.mark.parametrize(
    ("raised", "typed", "retryable"),
    [
        (NotServing, ServingUnavailable, True),
        (WrongModelServed, WrongVersionServed, False),
        (RequestRefused, ServingError, False),
        (DetectorError, ServingError, False),
    ],
)
def test_what_the_client_raises_is_an_error_of_the_lifecycle(
    raised: type[DetectorError], typed: type[LifecycleError], retryable: bool
) -> None:
    """Airflow's retries follow `LifecycleError.retryable`, and the person reads the client's own message."""
    with pytest.raises(LifecycleError, match="what happened, and what to do") as caught, typed_errors():
        raise raised("what happened, and what to do")
    assert type(caught.value) is typed
    assert caught.value.retryable is retryable
    assert isinstance(caught.value.__cause__, raised)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(OSError, match="no such file"), typed_errors():
        raise OSError("no such file")


def write_samples(folder: Path, **changes: Any) -> None:
    """Writes a folder as the evaluation does."""
    Image.new("RGB", (160, 160), "red").save(folder / "0.png")
    content = {
        "image_size": 160,
        "confidence": 0.25,
        "iou": 0.7,
        "class_names": ["zero"],
        "images": [{"file": "0.png", "detections": [A]}],
    } | changes
    (folder / "expected.json").write_text(json.dumps(content))


def test_samples_are_read(tmp_path: Path) -> None:
    write_samples(tmp_path)
    found = read_samples(tmp_path)
    assert (found.confidence, found.iou) == (0.25, 0.7)
    assert found.samples[0].pixels.shape == (160, 160, 3)
    np.testing.assert_array_equal(found.samples[0].expected, rows(A))


@pytest.mark.parametrize(
    "changes",
    [
        {"images": []},
        {"images": [{"file": "1.png", "detections": []}]},
        {"images": [{"file": "expected.json", "detections": []}]},
        {"images": [{"file": "0.png"}]},
        {"images": [{"file": "0.png", "detections": [[1, 2]]}]},
        {"confidence": None},
    ],
)
def test_unusable_samples_are_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_samples(tmp_path, **changes)
    with pytest.raises(SamplesUnusable, match="run the evaluation step again"):
        read_samples(tmp_path)


def test_no_samples(tmp_path: Path) -> None:
    with pytest.raises(SamplesUnusable):
        read_samples(tmp_path)
