"""A real MLflow on loopback, and versions registered in it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import TRAINER_PYTHON, TRAINING
from tests.support.processes import answers, free_port, running, tail, until


@dataclass(frozen=True)
class Registered:
    """A version in MLflow, as the values file would pin it."""

    name: str
    version: int
    sha256: str
    run_id: str

    def parameters(self, **changes: str) -> dict[str, str]:
        """What the chart's init container appends to config.pbtxt."""
        return {
            "mlflow_model_name": self.name,
            "mlflow_model_version": str(self.version),
            "mlflow_run_id": self.run_id,
            "sha256": self.sha256,
        } | changes

    def variables(self) -> dict[str, str]:
        """What a person sets by hand."""
        return {"MLFLOW_MODEL_NAME": self.name, "MLFLOW_MODEL_VERSION": str(self.version)}


class Mlflow:
    """An MLflow server; several may share one folder.

    Args:
        folder: of its database and its artifacts.
        port: any free one, by default.
        python: of the environment that has MLflow's server.
        artifacts: its arguments for artifacts; by default it serves those that are in the folder.
    """

    def __init__(
        self, folder: Path, port: int | None = None, python: str = sys.executable, artifacts: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"mlflow-{self.port}.log"
        self._python = python
        self._artifacts = artifacts or ("--artifacts-destination", str(folder / "artifacts"))

    @contextmanager
    def running(self) -> Iterator[Mlflow]:
        """Starts the server and ends it; what it has stays in its folder, for the next start."""
        command = [self._python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        command += self._artifacts
        # Its environment may be another one than this process's, and none of this project's code runs in it.
        outer = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COVERAGE_DATA")}
        # Without its job runners, which are eight more processes.
        variables = outer | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with running(command, self.log, variables, cwd=self.folder) as process:

            def started() -> bool:
                assert process.poll() is None, f"MLflow did not start:\n{tail(self.log)}"
                return answers(f"{self.uri}/health")

            until("MLflow answers", started, lambda: tail(self.log), 240)
            yield self

    def register(self, name: str, file: Path, **tags: str) -> Registered:
        """Registers a file as the next version of a model, with our tags; a tag given as "" is left out."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name(name)
        run = client.create_run(experiment.experiment_id if experiment else client.create_experiment(name))
        client.log_artifact(run.info.run_id, str(file), "model")
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        source = f"runs:/{run.info.run_id}/model"
        kept = {key: value for key, value in ({"sha256": sha256} | tags).items() if value}
        version = client.create_model_version(name, source, run_id=run.info.run_id, tags=kept)
        return Registered(name, int(version.version), sha256, run.info.run_id)

    def register_as_the_training_does(self, name: str, file: Path) -> Registered:
        """Registers in MLflow's ONNX flavour, from the training environment."""
        command = [str(TRAINER_PYTHON), str(TRAINING / "register_model.py"), name, str(file)]
        variables = os.environ | {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        return Registered(name=name, **json.loads(done.stdout.strip().splitlines()[-1]))

    def stored_file(self, registered: Registered) -> Path:
        """Where the server keeps a version's ONNX file."""
        (found,) = (self.folder / "artifacts").glob(f"*/{registered.run_id}/artifacts/model/*.onnx")
        return found


@contextmanager
def mlflow_server(folder: Path, python: str = sys.executable) -> Iterator[Mlflow]:
    """A running MLflow that keeps what it has in a folder."""
    with Mlflow(folder, python=python).running() as server:
        yield server
