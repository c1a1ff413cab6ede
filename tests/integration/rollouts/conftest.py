"""One site for all tests of rollouts, with three models of several versions each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rollouts.running_site import MODELS, Site
from tests.support.mlflow import Mlflow

VERSIONS = 3


@pytest.fixture(scope="session")
def site(mlflow_server: Mlflow, tmp_path_factory: pytest.TempPathFactory, handmade: Path) -> Iterator[Site]:
    """A running site on which nothing is served yet."""
    folder = tmp_path_factory.mktemp("site")
    with Site(folder, mlflow_server).running() as site:
        for model in MODELS:
            for _ in range(VERSIONS):
                site.register(model, handmade / "toy.onnx", class_names='["red", "green"]', image_size="64")
        yield site
