"""A real MLflow server, runs as the DAG opens them, and the trainer as its pods run it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
TRAINER = ROOT / "docker" / "trainer"
MLFLOW = ROOT / ".venv" / "airflow" / "bin" / "mlflow"
sys.path.insert(0, str(TRAINER))


@dataclass
class Server:
    """An MLflow server on loopback that can be stopped and started again with what it has."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(MLFLOW), "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Without its job runners, which are eight more processes.
                env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.2)
        raise AssertionError("MLflow did not start")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
            self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("mlflow"), _free_port())
    running.start()
    try:
        yield running
    finally:
        running.stop()


@dataclass
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


@dataclass
class Pods:
    """The three commands of one DAG run, in one workspace."""

    uri: str
    workspace: Path
    run_id: str
    options: list[str] = field(default_factory=list)

    def start(self, command: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "trainer", command, *self.options, *more, f"--workspace={self.workspace}"],
            cwd=TRAINER,
            env=os.environ | {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_RUN_ID": self.run_id} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, *more: str, **environment: str) -> Result:
        process = self.start(command, *more, **environment)
        try:
            out, err = process.communicate(timeout=900)
        finally:
            process.kill()
        return Result(process.returncode, out, err)

    def ok(self, command: str, *more: str) -> Result:
        result = self.run(command, *more)
        assert result.status == 0, result.out + result.err
        return result

    @property
    def client(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(self.uri)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.client.get_run(self.run_id).data.tags)

    def artifacts(self, folder: str) -> set[str]:
        return {item.path.rpartition("/")[2] for item in self.client.list_artifacts(self.run_id, folder)}

    def download(self, path: str, target: Path) -> Path:
        return Path(self.client.download_artifacts(self.run_id, path, str(target)))


def open_run(uri: str, experiment: str = "digits-detector") -> str:
    """A new run, as the DAG opens it."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment)
    return str(client.create_run(number, tags={"dag_id": "yolo_lifecycle"}).info.run_id)


def make_pods(server: Server, workspace: Path, *options: str) -> Pods:
    """The commands of a new run, with small defaults that ``options`` come after."""
    defaults = ["--dataset=digits?images=60&size=64", "--model=yolo11n.yaml", "--epochs=2", "--image-size=64"]
    return Pods(server.uri, workspace, open_run(server.uri), [*defaults, "--batch=16", *options])


@pytest.fixture
def pods(server: Server, tmp_path: Path) -> Pods:
    return make_pods(server, tmp_path / "workspace")
