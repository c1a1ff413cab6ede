"""Versions whose files are in a store that Triton reads by itself, because MLflow's server serves none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.integration.serving.own_model import OwnModel
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import free_port
from tests.support.triton import Triton, add_model

pytestmark = pytest.mark.xdist_group("loading")

BUCKET = "models"


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """What the Secret says of an S3 server with one bucket."""
    import boto3

    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test\n",  # stored with `echo`
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value.strip())
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield variables
    server.stop()


@pytest.fixture(scope="module")
def direct(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A server whose experiments go to S3."""
    artifacts = ("--no-serve-artifacts", "--default-artifact-root", f"s3://{BUCKET}/mlflow")
    with Mlflow(tmp_path_factory.mktemp("direct"), artifacts=artifacts).running() as server:
        yield server


@pytest.mark.extended
def test_a_version_in_s3_is_served(
    direct: Mlflow, s3: dict[str, str], handmade: Path, triton_executable: Path, tmp_path: Path
) -> None:
    registered = direct.register("in-s3", handmade / "toy.onnx", image_size="64")
    (tmp_path / "models").mkdir()
    add_model(tmp_path / "models", "in_s3", registered.parameters(cache_dir=str(tmp_path / "cache")))
    triton = Triton(triton_executable, tmp_path / "models", {"MLFLOW_TRACKING_URI": f"{direct.uri}\n"} | s3)
    with triton.running():
        triton.wait_ready("in_s3")
        assert f"sha256 {registered.sha256} as the settings say" in triton.log
        assert "AWS_SECRET_ACCESS_KEY ends with a line break, which was left out" in triton.log


def test_a_store_whose_client_the_image_lacks_is_named_at_once(own: OwnModel, mlflow_server: Mlflow) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server.uri)
    client.create_registered_model("in-gcs")
    version = client.create_model_version("in-gcs", "gs://bucket/model")
    reason = own.refused(Registered("in-gcs", int(version.version), "a" * 64, "r").parameters())
    assert "a store whose client this image lacks" in reason
    assert "add google-cloud-storage to docker/triton/requirements.in" in reason
    assert "attempt 2" not in own.said
