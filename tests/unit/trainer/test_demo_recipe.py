"""The digits demo: what its pipeline asks for is known to the image, small, and read as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits, load_sample_images
from trainer.architecture import SHIPPED, find_architecture
from trainer.datasets.handwriting import read_digits
from trainer.tasks.detect.architecture import check_architecture
from trainer.tasks.detect.digits import Recipe, read_photos
from trainer.training.arguments import check_hyperparameters
from trainer.training.threads import threads_for_step

PIPELINE = Path(__file__).resolve().parents[3] / "dags/pipelines/digits.yaml"


def _asked(key: str) -> Any:
    """What the demo's pipeline asks of a training."""
    return yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["train"][key]


def test_the_pipeline_asks_for_what_the_image_has(tmp_path: Path) -> None:
    check_architecture(_asked("model"), _asked("image_size"), tmp_path)
    check_hyperparameters(_asked("hyperparameters"))
    assert Recipe.parse("digits").size == _asked("image_size"), "images are not scaled"


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_architecture_of_the_image_is_given_by_its_name(file: Path, tmp_path: Path) -> None:
    check_architecture(file.name, 64, tmp_path)
    assert find_architecture(file.name, tmp_path) == str(file)


def test_a_file_in_the_workspace_comes_before_one_of_the_image(tmp_path: Path) -> None:
    name = _asked("model")
    (tmp_path / name).write_text("nc: 2\nhead: [[[0], 1, Segment, [nc]]]\n", encoding="utf-8")
    assert find_architecture(name, tmp_path) == str(tmp_path / name)
    assert find_architecture("yolo11n.yaml", tmp_path) == "yolo11n.yaml"


def test_the_demos_network_is_small_and_finds_any_number_of_classes(tmp_path: Path) -> None:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(find_architecture(_asked("model"), tmp_path), nc=3, verbose=False).eval()
    assert sum(weights.numel() for weights in model.parameters()) < 500_000
    with torch.inference_mode():
        raw = model(torch.zeros(2, 3, 64, 96))[0]
    assert raw.shape == (2, 4 + 3, 64 // 8 * 96 // 8)


def test_digits_and_photos_are_those_that_scikit_learn_loads() -> None:
    images, values = read_digits()
    loaded = load_digits()
    assert np.array_equal(images, (loaded.images.astype(np.uint16) * 255 // 16).astype(np.uint8))
    assert np.array_equal(values, loaded.target)
    for photo, expected in zip(read_photos(), load_sample_images().images, strict=True):
        assert np.array_equal(photo, expected)


@pytest.mark.parametrize(
    ("gflop", "cpus", "threads"),
    [(2.0, 2, 1), (2.0, 1, 1), (6.5, 2, 2), (6.5, 8, 3), (104.0, 8, 8), (0.0, 4, 4)],
)
def test_a_small_step_gets_fewer_threads(gflop: float, cpus: int, threads: int) -> None:
    assert threads_for_step(gflop, cpus) == threads
