"""Limits that parts which must not import each other have in common: each has its own copy, and they agree."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVER = "model_repository/yolo/1/yolo_server"
TRAINER = "docker/trainer/trainer"
VERIFY = "plugins/lifecycle/serving/verify.py"


def constant(file: str, name: str) -> Any:
    """The value of a constant of a module, without importing it."""
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{file} has no constant {name}")


@pytest.mark.parametrize("name", ["MOST_DROP", "FLAGS"])
def test_the_trainer_measures_what_the_server_may_choose(name: str) -> None:
    assert constant(f"{TRAINER}/precision.py", name) == constant(f"{SERVER}/choose.py", name)


def test_the_trainer_and_the_server_mean_the_same_file_by_the_same_note() -> None:
    assert constant(f"{TRAINER}/quantization.py", "NOTE") == constant(f"{SERVER}/onnx_metadata.py", "INT8_NOTE")
    assert constant(f"{TRAINER}/quantization.py", "FOLDER") == constant(f"{SERVER}/registry.py", "SIBLINGS")


def test_the_check_of_the_server_leaves_twice_the_room_that_its_images_were_chosen_with() -> None:
    chosen = f"{TRAINER}/verification.py"
    assert 1 - constant(VERIFY, "LEAST_IOU") == pytest.approx(2 * (1 - constant(chosen, "LEAST_IOU")))
    assert constant(VERIFY, "CONFIDENCE_TOLERANCE") == pytest.approx(2 * constant(chosen, "SCORE_TOLERANCE"))
