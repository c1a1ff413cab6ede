"""Artifact stores that the pods reach by themselves, because MLflow's server serves none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from colours import KEEPING, Colours
from pods import Pods, Server, free_port, make_pods
from stores import BUCKET, S3

pytestmark = pytest.mark.xdist_group("trainer")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    store = S3()
    try:
        made = tmp_path_factory.mktemp("bucket") / "made"
        made.touch()
        store.put(made, "made")
        yield store
    finally:
        store.close()


def not_serving(folder: Path, root: str) -> Server:
    return Server(folder, free_port(), ("--no-serve-artifacts", "--default-artifact-root", root))


@pytest.fixture(scope="module")
def direct(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose experiments go to S3."""
    running = not_serving(tmp_path_factory.mktemp("direct"), f"s3://{BUCKET}/mlflow")
    running.start()
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture
def reaching_s3(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process reads artifacts as a pod does."""
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.extended
@pytest.mark.usefixtures("reaching_s3")
def test_a_run_whose_artifacts_are_in_s3(direct: Server, s3: S3, colours: Colours, tmp_path: Path) -> None:
    options = [f"--dataset={colours.dataset}", f"--model={colours.expert}", f"--hyperparameters={json.dumps(KEEPING)}"]
    pods = make_pods(direct, tmp_path / "workspace", *options, "--epochs=1")
    for command in ("prepare", "train", "evaluate"):
        pods.ok(command)
    names = {key.rpartition("/")[2] for key in s3.stored()}
    assert {"options.json", "summary.json", "best.pt", "model.onnx", "expected.json"} <= names
    assert hashlib.sha256(pods.onnx(tmp_path).read_bytes()).hexdigest() == pods.tags["sha256"]


@pytest.mark.parametrize(
    ("root", "package"),
    [
        ("gs://bucket/mlflow", "google-cloud-storage"),
        pytest.param("wasbs://c@account.blob.core.windows.net/m", "azure-storage-blob", marks=pytest.mark.extended),
    ],
)
def test_a_store_whose_client_the_image_lacks_is_named_before_anything_is_fetched(
    server: Server, root: str, package: str, tmp_path: Path
) -> None:
    import mlflow

    client = mlflow.MlflowClient(server.uri)
    experiment = client.create_experiment(f"artifacts in {package}", root)
    pods = Pods(server.uri, tmp_path, client.create_run(experiment).info.run_id, ["--dataset=digits?images=60&size=64"])
    result = pods.run_process("prepare")
    assert result.status == 2
    assert result.last.startswith("ERROR: MLflow's artifacts cannot be reached for storing options.json")
    assert f"Add {package}" in result.last and "docker/trainer/requirements.in" in result.last
    assert "Making" not in result.out
