"""A thousand class names: too many for a tag of MLflow, and none may be lost."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from trainer.class_names import ARTIFACT, names_of, names_tag

MANY = [f"a class with a rather long name, {number}" for number in range(1203)]


def test_names_that_fit_are_a_list(tmp_path: Path) -> None:
    tag = names_tag(["Katze", "Hündin"])
    assert json.loads(tag) == ["Katze", "Hündin"] == names_of(tag, tmp_path / "none.onnx")


def test_names_that_do_not_fit_are_counted_and_kept_in_the_model(tmp_path: Path, network: Path) -> None:
    tag = names_tag(MANY)
    assert len(tag) < 5000 and json.loads(tag) == {"count": 1203, "artifact": ARTIFACT}
    model = onnx.load(str(network))
    entry = model.metadata_props.add()
    entry.key, entry.value = "names", str(dict(enumerate(MANY)))  # as Ultralytics' export notes them
    onnx.save(model, str(network))
    assert names_of(tag, network) == MANY


def test_a_model_that_does_not_name_its_classes_is_an_error(network: Path) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        names_of(names_tag(MANY), network)
