"""Models exported once, one MLflow, one Triton build; a test starts as many Triton servers as it needs."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.mlflow import Mlflow, Registered
from tests.support.paths import TRAINER_PYTHON
from tests.support.triton import Triton, add_model

StartTriton = Callable[..., Triton]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the exported models, see make_models.py."""
    folder = tmp_path_factory.mktemp("exported")
    script = Path(__file__).with_name("make_models.py")
    variables = os.environ | {"YOLO_CONFIG_DIR": str(folder / "settings"), "PYTHONDONTWRITEBYTECODE": "1"}
    (folder / "settings").mkdir()
    subprocess.run(
        [str(TRAINER_PYTHON), str(script), str(folder), "yolo11n", "yolo26n"],
        env=variables,
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=600,
    )
    return folder


@pytest.fixture(scope="session")
def toy(mlflow_server: Mlflow, models: Path) -> Registered:
    """The model whose answer can be worked out in one's head."""
    return mlflow_server.register("toy", models / "toy.onnx", class_names='["red", "green"]', image_size="64")


@pytest.fixture(scope="session")
def yolo(mlflow_server: Mlflow, models: Path) -> Registered:
    """A yolo11n, registered as the training does."""
    return mlflow_server.register_as_the_training_does("yolo11n", models / "yolo11n.onnx")


@pytest.fixture
def start_triton(triton_executable: Path, mlflow_server: Mlflow, tmp_path: Path) -> Iterator[StartTriton]:
    """Starts Triton servers that end with the test.

    `start_triton({model: parameters}, variables, *options)`; the cache is the test's own.
    """
    with ExitStack() as stack:

        def start(
            served: Mapping[str, Mapping[str, str] | None], variables: Mapping[str, str] | None = None, *options: str
        ) -> Triton:
            repository = tmp_path / "models"
            repository.mkdir(exist_ok=True)
            for model, parameters in served.items():
                add_model(repository, model, parameters)
            base = {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MODEL_CACHE_DIR": str(tmp_path / "cache")}
            triton = Triton(triton_executable, repository, base | dict(variables or {}), options)
            return stack.enter_context(triton.running())

        yield start


@pytest.fixture(scope="session")
def serving(
    triton_executable: Path,
    mlflow_server: Mlflow,
    models: Path,
    toy: Registered,
    yolo: Registered,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Triton]:
    """One server with four models: `yolo11n`, `yolo26n` (end to end), `toy` and `fixed` (two images of 64 only).

    And each once more for picture files: `yolo11n_encoded` and so on.
    """
    folder = tmp_path_factory.mktemp("serving")
    repository = folder / "models"
    repository.mkdir()
    add_model(repository, "yolo11n", yolo.parameters())
    add_model(repository, "toy", toy.parameters())
    add_model(repository, "yolo26n", mlflow_server.register("yolo26n", models / "yolo26n.onnx").parameters())
    add_model(repository, "fixed", mlflow_server.register("fixed", models / "toy_fixed.onnx").parameters())
    names = ("yolo11n", "yolo26n", "toy", "fixed")
    encoded = tuple(f"{name}_encoded" for name in names)
    for name in encoded:
        add_model(repository, name, template="yolo_encoded")
    variables = {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MODEL_CACHE_DIR": str(folder / "cache")}
    with Triton(triton_executable, repository, variables).running() as triton:
        triton.wait_ready(*names, *encoded, seconds=180)
        yield triton


@pytest.fixture(scope="session")
def expected(models: Path) -> Callable[[str, int], tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]]:
    """Images of a size and what Ultralytics finds in them: `expected(architecture, size)`."""

    def read(architecture: str, size: int) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
        with np.load(models / f"{architecture}.npz") as arrays:
            images = arrays[f"images_{size}"]
            return images, [arrays[f"expected_{size}_{index}"] for index in range(len(images))]

    return read
