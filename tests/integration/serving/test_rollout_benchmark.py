"""The rollout benchmark needs two versions; where there is one, it registers a copy that serves the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifecycle.gitops.models import PinnedModel
from lifecycle.model.pin import Pin
from mlflow import MlflowClient

from benchmarks.serving.rollout import other_version
from tests.support.mlflow import Mlflow

pytestmark = pytest.mark.xdist_group("loading")


@pytest.mark.extended
def test_a_copy_of_the_only_version_holds_the_same_file(mlflow_server: Mlflow, handmade: Path) -> None:
    """As MLflow 3 registers models: the source names a logged model, whose id has to come along."""
    only = mlflow_server.register_as_the_training_does("alone", handmade / "toy.onnx")
    pin = Pin(only.version, only.sha256, only.run_id)
    pinned = PinnedModel(name="alone", registered_model="alone", pin=pin, hold=False)
    copied = other_version(mlflow_server.uri, pinned)
    assert copied == Pin(only.version + 1, only.sha256, only.run_id)
    client = MlflowClient(tracking_uri=mlflow_server.uri, registry_uri=mlflow_server.uri)
    first, second = (client.get_model_version_download_uri("alone", str(number)) for number in (1, 2))
    assert first == second
    assert other_version(mlflow_server.uri, pinned) == copied, "a copy that is there is taken again"
