"""Servers of which one is enough: started when a test first asks, for this worker's tests of every folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mlflow, models, triton


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.Mlflow]:
    """A running MLflow. Tests of one folder name no registered model that another folder's tests name."""
    with mlflow.mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def triton_executable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sandbox's `tritonserver`."""
    return triton.build_triton(tmp_path_factory.mktemp("triton-image"))


@pytest.fixture(scope="session")
def handmade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the models made by hand, see tests/support/training/handmade.py."""
    return models.once(tmp_path_factory, "handmade", models.make_handmade)
