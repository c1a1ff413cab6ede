"""One site for all tests of rollouts, with three models of several versions each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rollouts.running_site import Site
from tests.support.mlflow import Mlflow
from tests.support.paths import ROOT, TRAINER_PYTHON

MODELS = ("digits", "signs", "plates")
VERSIONS = 3


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models made by hand of the serving tests, see its make_models.py; no architecture is exported."""
    folder = tmp_path_factory.mktemp("exported")
    script = ROOT / "tests" / "integration" / "serving" / "make_models.py"
    variables = os.environ | {"YOLO_CONFIG_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([str(TRAINER_PYTHON), str(script), str(folder)], env=variables, cwd=folder, check=True, timeout=600)
    return folder


@pytest.fixture(scope="session")
def site(mlflow_server: Mlflow, tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[Site]:
    """A running site on which nothing is served yet."""
    folder = tmp_path_factory.mktemp("site")
    with Site(folder, mlflow_server).running() as site:
        for model in MODELS:
            for _ in range(VERSIONS):
                site.register(model, files / "toy.onnx", class_names='["red", "green"]', image_size="64")
        yield site
