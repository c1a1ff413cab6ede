"""A real MLflow server for as long as the served model is being loaded from it."""

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.processes import BenchmarkError, Tree, free_ports

NAME = "serving-benchmark"
START_SECONDS = 120


@dataclass(frozen=True)
class Registered:
    """A version as model.py is told to find it."""

    tracking_uri: str
    version: str
    sha256: str

    def environment(self, cache: Path) -> dict[str, str]:
        """The variables of docs/contracts.md."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_MODEL_NAME": NAME,
            "MLFLOW_MODEL_VERSION": self.version,
            "MODEL_SHA256": self.sha256,
            "MODEL_CACHE_DIR": str(cache),
        }


def start_mlflow(folder: Path) -> tuple[Tree, str]:
    """Starts MLflow on a free port; returns it and its address once it answers.

    Raises:
        BenchmarkError: it does not come up.
    """
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    store, artifacts = f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", artifacts]
    server = Tree(command, folder / "mlflow.log", {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    uri = f"http://127.0.0.1:{port}"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.running:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2):
                return server, uri
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    words = server.last_words()
    server.stop()
    raise BenchmarkError(f"MLflow did not start within {START_SECONDS} s; the end of its log:\n{words}")


def register(uri: str, model: Path, class_names: list[str], image_size: int, tags: dict[str, str]) -> Registered:
    """Registers an ONNX file with the tags that the training run would write, and `tags`."""
    os.environ |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    run = client.create_run(client.create_experiment(NAME))
    client.log_artifact(run.info.run_id, str(model), "model")
    for sibling in model.parent.glob("model.*.zip"):  # in INT8, where MLflow's ONNX flavour keeps `extra_files`
        client.log_artifact(run.info.run_id, str(sibling), "model/extra_files")
    client.create_registered_model(NAME)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    standard = {"sha256": sha256, "image_size": str(image_size), "class_names": json.dumps(class_names)}
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version(NAME, source, run.info.run_id, tags=standard | tags)
    client.set_terminated(run.info.run_id)
    return Registered(uri, str(version.version), sha256)
