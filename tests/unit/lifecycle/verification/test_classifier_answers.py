"""Comparing what a classifier says with what the trained one said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle import kinds
from lifecycle.errors import AnswersDiffer, SamplesUnusable
from lifecycle.kinds.classify.answers import Sample, SampleSet, compare, read_samples
from lifecycle.verification.verify import kind_of_samples
from PIL import Image
from yolo_client import ServedModel

NAMES = ("cat", "dog", "cow")
SET = SampleSet(NAMES, ())


def sample(*scores: float) -> Sample:
    return Sample("7.png", np.zeros((32, 32, 3), np.uint8), np.array(scores, np.float32))


def said(*scores: float) -> np.ndarray:
    return np.array(scores, np.float32)


def test_the_same_class_with_nearly_the_same_probabilities() -> None:
    report = compare(sample(0.9, 0.06, 0.04), said(0.85, 0.1, 0.05), SET)
    assert report.matches == 1
    assert report.most_difference == pytest.approx(0.05, abs=1e-6)
    served = ServedModel("m", 1, "r", "ab" * 32, NAMES, 32)
    assert report.picture(served).size == (128, 144), "small pictures are enlarged, over a line with the class"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ((0.7, 0.2, 0.1), r"7\.png: the trained model says 'cat' with 0\.90, and the served model 'cat' with 0\.70"),
        ((0.1, 0.8, 0.1), "the served model 'dog' with 0.80"),
        ((float("nan"),) * 3, "differ by up to nan"),
        ((0.9, 0.1), "the served model knows 2 classes, and the trained one 3"),
    ],
)
def test_another_answer_is_refused(found: tuple[float, ...], why: str) -> None:
    with pytest.raises(AnswersDiffer, match=why):
        compare(sample(0.9, 0.06, 0.04), said(*found), SET)


def write_samples(folder: Path, **changes: Any) -> None:
    """Writes a folder as the evaluation does."""
    Image.new("RGB", (32, 32), "red").save(folder / "0.png")
    images = [{"file": "0.png", "class": 0, "probabilities": [0.9, 0.06, 0.04]}]
    content = {"task": "classify", "image_size": 32, "class_names": NAMES, "images": images} | changes
    (folder / "expected.json").write_text(json.dumps(content))


def test_samples_are_read_and_tell_their_task(tmp_path: Path) -> None:
    write_samples(tmp_path)
    found = read_samples(tmp_path)
    assert (found.class_names, found.samples[0].pixels.shape) == (NAMES, (32, 32, 3))
    assert kind_of_samples(tmp_path).name == "classify"
    write_samples(tmp_path, task="detect")
    assert kind_of_samples(tmp_path).name == "detect"


@pytest.mark.parametrize(
    "changes",
    [
        {"images": []},
        {"images": [{"file": "1.png", "probabilities": [1, 0, 0]}]},
        {"images": [{"file": "0.png"}]},
        {"images": [{"file": "0.png", "probabilities": [1, 0]}]},
    ],
)
def test_unusable_samples_are_named(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_samples(tmp_path, **changes)
    with pytest.raises(SamplesUnusable, match="run the evaluation step again"):
        read_samples(tmp_path)


def test_samples_of_an_unknown_task_are_unusable(tmp_path: Path) -> None:
    write_samples(tmp_path, task="segment")
    with pytest.raises(SamplesUnusable, match=r"lifecycle\.kinds\.segment"):
        kind_of_samples(tmp_path)


def test_a_servers_outputs_tell_what_it_serves() -> None:
    assert kinds.of_outputs(["scores", "labels", "model_info"]).name == "classify"
    assert kinds.of_outputs(["detections", "num_detections"]).name == "detect"
    assert kinds.of_outputs([]).name == "detect"
