"""When a training would be made of what the live version was made of."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.recipe import Recipe

PARAMS: dict[str, Any] = {
    "dataset": "s3://bucket/a.zip",
    "model": "yolo11n.pt",
    "epochs": 3,
    "image_size": 64,
    "batch": 2,
    "seed": 0,
    "hyperparameters": {"lr0": 0.1, "nbs": 8},
    "device": "auto",
    "min_map50": 0.5,
}
FACTS = {"dataset_digest": "d1", "weights_sha256": "w1", "image": "trainer:1"}


@pytest.mark.parametrize(
    ("params", "facts", "changed"),
    [
        ({}, {}, []),
        ({"hyperparameters": {"nbs": 8, "lr0": 0.1}}, {}, []),
        ({"dataset": "s3://elsewhere/a.zip"}, {}, []),
        ({"min_map50": 0.9}, {}, []),
        ({"model": "/workspace/copy.pt"}, {}, []),
        ({"epochs": 4}, {}, ["settings"]),
        ({"seed": 1}, {}, ["settings"]),
        ({"hyperparameters": {"lr0": 0.2, "nbs": 8}}, {}, ["settings"]),
        ({}, {"dataset_digest": "d2"}, ["dataset"]),
        ({}, {"weights_sha256": "w2"}, ["weights"]),
        ({"model": "yolo11n.yaml"}, {"weights_sha256": ""}, ["weights"]),
        ({"device": "cpu"}, {"image": "trainer:2"}, ["settings", "image"]),
    ],
)
def test_only_what_a_training_depends_on_is_a_change(
    params: dict[str, Any], facts: dict[str, str], changed: list[str]
) -> None:
    live = Recipe.of(PARAMS, **FACTS).tag()
    assert Recipe.of({**PARAMS, **params}, **{**FACTS, **facts}).changes(live) == changed


def test_a_version_without_a_record_is_other_in_everything() -> None:
    assert Recipe.of(PARAMS, **FACTS).changes(None) == ["dataset", "weights", "settings", "image"]
