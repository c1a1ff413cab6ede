"""One MLflow server, one dataset and one detector for all the tests of a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from colours import KEEPING, Colours, write_architecture, write_dataset, write_detector
from pods import SEED, Gate, Pods, Server, as_found, free_port, make_pods


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("mlflow"), free_port())
    running.start()
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def gate(server: Server) -> Iterator[Gate]:
    """An open gate before the server."""
    made = Gate(server)
    made.open()
    yield made
    made.close()


@pytest.fixture
def pods(server: Server, tmp_path: Path) -> Pods:
    return make_pods(server, tmp_path / "workspace")


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Colours:
    from trainer import runtime

    folder = tmp_path_factory.mktemp("colours")
    with as_found():
        runtime.start(folder)
    architecture = write_architecture(folder)
    return Colours(
        write_dataset(folder / "dataset", SEED),
        architecture,
        write_detector(folder / "expert.pt", architecture, SEED),
        write_detector(folder / "beginner.pt", architecture, SEED, knows_colours=False),
    )


@pytest.fixture(scope="session")
def trained(server: Server, colours: Colours, tmp_path_factory: pytest.TempPathFactory) -> Pods:
    """A run through all three commands, each in a process of its own, of a model that detects on any processor."""
    hyperparameters = json.dumps(KEEPING | {"plots": True})
    options = [
        f"--dataset={colours.dataset}",
        f"--model={colours.expert}",
        f"--hyperparameters={hyperparameters}",
    ]
    workspace = tmp_path_factory.mktemp("workspace")
    pods = make_pods(server, workspace, *options, f"--outputs={workspace / 'outputs'}")
    for command in ("prepare", "train", "evaluate"):
        result = pods.run_process(command)
        assert result.status == 0, result.out + result.err
    return pods
