"""The real servers that the serving tests talk to: MLflow, and Triton from the wheel. Both listen on loopback only."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "model_repository"
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, timeout: float = 2) -> bool:
    """Whether a GET gets a 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def end(process: subprocess.Popen[bytes], patience: float = 20) -> None:
    """Ends a server and everything in its process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
    """An MLflow server; several may share one folder."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Mlflow"]:
        """Starts the server and ends it."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        # Without its job runners, which are eight more processes.
        variables = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / f"mlflow-{self.port}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=variables)
        try:
            deadline = time.monotonic() + 240
            while not answers(f"{self.uri}/health"):
                assert process.poll() is None and time.monotonic() < deadline, "MLflow did not start"
                time.sleep(0.1)
            yield self
        finally:
            end(process)

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
        command = [str(TRAINER_PYTHON), str(Path(__file__).with_name("register_model.py")), name, str(file)]
        variables = os.environ | {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        return Registered(name=name, **json.loads(done.stdout.strip().splitlines()[-1]))

    def stored_file(self, registered: Registered) -> Path:
        """Where the server keeps a version's ONNX file."""
        (found,) = (self.folder / "artifacts").glob(f"*/{registered.run_id}/artifacts/model/*.onnx")
        return found


def add_model(
    repository: Path, model: str, parameters: Mapping[str, str] | None = None, template: str = "yolo"
) -> Path:
    """Puts a model folder of ours into a repository, as the chart's init container does."""
    target = repository / model
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(TEMPLATES / template, target)
    with (target / "config.pbtxt").open("a", encoding="utf-8") as config:
        for key, value in (parameters or {}).items():
            config.write(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n')
    return target


@dataclass
class Triton:
    """A Triton from the wheel."""

    executable: Path
    repository: Path
    variables: Mapping[str, str]
    options: tuple[str, ...] = ()
    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def http(self) -> str:
        """Address for HTTP."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        """Address for gRPC."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def metrics(self) -> str:
        """Address of its metrics."""
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self.repository.parent / f"triton-{self.http_port}.log").read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def running(self) -> Iterator["Triton"]:
        """Starts the server, without waiting for it, and ends it."""
        command = [str(self.executable), f"--model-repository={self.repository}", *self.options]
        for kind, port in (("http", self.http_port), ("grpc", self.grpc_port), ("metrics", self.metrics_port)):
            command += [f"--{kind}-port={port}", f"--{kind}-address=127.0.0.1"]
        outer = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "MODEL_"))}
        with (self.repository.parent / f"triton-{self.http_port}.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=outer | dict(self.variables)
            )
        try:
            yield self
        finally:
            end(self.process)

    def ready(self, model: str) -> bool:
        """Whether the model can answer now."""
        return answers(self._ready_url(model))

    def wait_ready(self, *models: str, seconds: float = 90) -> None:
        """Waits until the models are ready, and for the metrics: their port is opened after HTTP's."""
        deadline = time.monotonic() + seconds
        for address in (*map(self._ready_url, models), self.metrics):
            while not answers(address):
                ended = self.process is None or self.process.poll() is not None
                assert not ended and time.monotonic() < deadline, f"{address} does not answer:\n{self.log[-4000:]}"
                time.sleep(0.05)

    def _ready_url(self, model: str) -> str:
        return f"{self.http}/v2/models/{model}/ready"

    def wait_live(self, seconds: float = 90) -> None:
        """Waits until the server answers, whatever its models do."""
        deadline = time.monotonic() + seconds
        while not answers(f"{self.http}/v2/health/live"):
            assert time.monotonic() < deadline, f"the server does not answer:\n{self.log[-4000:]}"
            time.sleep(0.05)

    def wait_ended(self, seconds: float = 90) -> int:
        """Waits until the server gave up, as it does when its only model cannot be loaded; returns its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def wait_logged(self, text: str, seconds: float = 90) -> None:
        """Waits until the log has a text."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log[-4000:]}"
            time.sleep(0.05)

    def control(self, action: str, model: str) -> tuple[int, dict[str, Any]]:
        """Loads or unloads a model by Triton's repository API: HTTP status and answer."""
        request = urllib.request.Request(f"{self.http}/v2/repository/models/{model}/{action}", data=b"{}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def reason(self, model: str) -> str:
        """The one line that says why a model is not ready."""
        lines = [line for line in self.log.splitlines() if f'"{model} is not ready: ' in line]
        assert len(lines) == 1, f"{len(lines)} lines say why {model} is not ready:\n{self.log[-4000:]}"
        return lines[0].split(" is not ready: ", 1)[1].rstrip('"')
