"""The digits demo: what the DAG's form asks for by default is known to the image, small, and read as it is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images
from trainer.architecture import SHIPPED, check_architecture, find_architecture
from trainer.datasets.digits import Recipe, read_digits, read_photos
from trainer.training.arguments import check_hyperparameters
from trainer.training.threads import threads_for_step

PARAMS = Path(__file__).resolve().parents[3] / "plugins/lifecycle/params.py"


def _of_the_form(name: str) -> Any:
    """A constant of the form's module, which this environment, without Airflow, cannot import."""
    for statement in ast.parse(PARAMS.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == name:  # type: ignore[attr-defined]
            return ast.literal_eval(statement.value)
    raise AssertionError(f"{PARAMS} has no {name}")


def test_the_form_asks_for_what_the_image_has(tmp_path: Path) -> None:
    check_architecture(_of_the_form("DEMO_MODEL"), _of_the_form("DEMO_IMAGE_SIZE"), tmp_path)
    check_hyperparameters(_of_the_form("DEMO_HYPERPARAMETERS"))
    assert Recipe.parse("digits").size == _of_the_form("DEMO_IMAGE_SIZE"), "images are not scaled"


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_architecture_of_the_image_is_given_by_its_name(file: Path, tmp_path: Path) -> None:
    check_architecture(file.name, 64, tmp_path)
    assert find_architecture(file.name, tmp_path) == str(file)


def test_a_file_in_the_workspace_comes_before_one_of_the_image(tmp_path: Path) -> None:
    name = _of_the_form("DEMO_MODEL")
    (tmp_path / name).write_text("nc: 2\nhead: [[[0], 1, Segment, [nc]]]\n", encoding="utf-8")
    assert find_architecture(name, tmp_path) == str(tmp_path / name)
    assert find_architecture("yolo11n.yaml", tmp_path) == "yolo11n.yaml"


def test_the_demos_network_is_small_and_finds_any_number_of_classes(tmp_path: Path) -> None:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel(find_architecture(_of_the_form("DEMO_MODEL"), tmp_path), nc=3, verbose=False).eval()
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
