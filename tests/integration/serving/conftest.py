"""Models exported once, a server for the tests of answers, and one for the tests of loading.

A test starts a Triton of its own where it is about the server itself: its options, environment or memory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.serving.own_model import OwnModel
from tests.support.mlflow import Mlflow, Registered
from tests.support.models import in_training_environment, once
from tests.support.triton import Triton, add_classifier, add_model

StartTriton = Callable[..., Triton]


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with yolo11n and yolo26n as they are exported, see make_models.py."""

    def make(folder: Path) -> None:
        script = Path(__file__).with_name("make_models.py")
        in_training_environment(script, folder, "yolo11n", "yolo26n", cwd=folder)

    return once(tmp_path_factory, "exports", make)


@pytest.fixture(scope="session")
def toy(mlflow_server: Mlflow, handmade: Path) -> Registered:
    """The model whose answer can be worked out in one's head."""
    return mlflow_server.register("toy", handmade / "toy.onnx", class_names='["red", "green"]', image_size="64")


@pytest.fixture(scope="session")
def colours(mlflow_server: Mlflow, handmade: Path) -> Registered:
    """The classifier whose answer can be worked out in one's head; the names of its classes are in its file alone."""
    return mlflow_server.register("colours", handmade / "colours.onnx", image_size="64")


@pytest.fixture(scope="session")
def yolo(mlflow_server: Mlflow, exports: Path) -> Registered:
    """A yolo11n, registered as the training does."""
    return mlflow_server.register_as_the_training_does("yolo11n", exports / "yolo11n.onnx")


@pytest.fixture(scope="session")
def explicit(triton_executable: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """A server in explicit mode, on which each test loads models of its own, see `own`."""
    repository = tmp_path_factory.mktemp("explicit") / "models"
    repository.mkdir()
    with Triton(triton_executable, repository, {}, ("--model-control-mode=explicit",)).running() as triton:
        triton.wait_ready()
        yield triton


@pytest.fixture
def own(explicit: Triton, mlflow_server: Mlflow, tmp_path: Path) -> Iterator[OwnModel]:
    """The test's own model, not loaded yet."""
    model = OwnModel(explicit, mlflow_server.uri, tmp_path / "cache")
    yield model
    model.unload()


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
    exports: Path,
    handmade: Path,
    toy: Registered,
    colours: Registered,
    yolo: Registered,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Triton]:
    """One server with four detectors: `yolo11n`, `yolo26n` (end to end), `toy` and `fixed` (two images of 64 only).

    And a classifier, `colours`. Each detector has a twin for picture files: `yolo11n_encoded` and so on; `told` is a
    toy whose configuration has the parameter `metadata`.
    """
    folder = tmp_path_factory.mktemp("serving")
    repository = folder / "models"
    repository.mkdir()
    add_model(repository, "yolo11n", yolo.parameters())
    add_model(repository, "toy", toy.parameters())
    add_model(repository, "yolo26n", mlflow_server.register("yolo26n", exports / "yolo26n.onnx").parameters())
    add_model(repository, "fixed", mlflow_server.register("fixed", handmade / "toy_fixed.onnx").parameters())
    add_classifier(repository, "colours", colours.parameters(), ["red", "green", "navy blue"])
    names = ("yolo11n", "yolo26n", "toy", "fixed")
    encoded = tuple(f"{name}_encoded" for name in names)
    for name in encoded:
        add_model(repository, name, template="yolo_encoded")
    metadata = "{'names': {0: 'red', 1: 'green'}, 'args': {'dynamic': True}}"
    add_model(repository, "told", toy.parameters(metadata=metadata))
    variables = {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MODEL_CACHE_DIR": str(folder / "cache")}
    with Triton(triton_executable, repository, variables).running() as triton:
        triton.wait_ready(*names, *encoded, "told", "colours", seconds=180)
        yield triton


@pytest.fixture(scope="session")
def expected(exports: Path) -> Callable[[str, int], tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]]:
    """Images of a size and what Ultralytics finds in them: `expected(architecture, size)`."""

    def read(architecture: str, size: int) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
        with np.load(exports / f"{architecture}.npz") as arrays:
            images = arrays[f"images_{size}"]
            return images, [arrays[f"expected_{size}_{index}"] for index in range(len(images))]

    return read
