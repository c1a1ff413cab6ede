"""The trainer's commands as the DAG's pods run them, the MLflow server that they write to, and a gate before it."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TRAINER = ROOT / "docker" / "trainer"
MLFLOW = ROOT / ".venv" / "airflow" / "bin" / "mlflow"
sys.path.insert(0, str(TRAINER))

# Of everything random in these tests, which hold for any.
SEED = int(os.environ.get("TEST_SEED", "0"))


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """An MLflow server on loopback."""

    folder: Path
    port: int
    artifacts: tuple[str, ...] = ()  # its arguments for artifacts; by default it serves those of its folder
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(MLFLOW), "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += self.artifacts or ("--artifacts-destination", str(self.folder / "artifacts"))
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # Without its job runners, which are eight more processes.
                env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )

    def wait(self) -> None:
        """Until it answers."""
        assert self.process is not None
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


class _Forward(socketserver.BaseRequestHandler):
    """Passes on what either side of one connection says, until one hangs up or the gate closes."""

    server: _Listener

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as far:
            ends = {self.request: far, far: self.request}
            while not self.server.closing.is_set():
                for end in select.select(list(ends), [], [], 0.05)[0]:
                    content = end.recv(65536)
                    if not content:
                        return
                    ends[end].sendall(content)


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, port: int, target: int) -> None:
        self.target = target
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), _Forward)


class Gate:
    """An address of a server at which nothing answers while the gate is closed, as when the server is down."""

    def __init__(self, server: Server) -> None:
        self._target = server.port
        self._port = free_port()
        self._listener: _Listener | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        self._listener = _Listener(self._port, self._target)
        threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.closing.set()
            self._listener.server_close()
            self._listener = None


@dataclass
class Result:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


@contextlib.contextmanager
def as_found() -> Iterator[None]:
    """Puts back what a command changes in its process: the environment, and what a signal does."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        signal.signal(signal.SIGTERM, handler)


@dataclass
class Pods:
    """The three commands of one DAG run, in one workspace."""

    uri: str
    workspace: Path
    run_id: str
    options: list[str] = field(default_factory=list)

    def arguments(self, command: str, *more: str) -> list[str]:
        """The command line after the program."""
        return [command, *self.options, *more, f"--workspace={self.workspace}"]

    @property
    def variables(self) -> dict[str, str]:
        """What the pod's environment says of MLflow."""
        return {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_RUN_ID": self.run_id}

    def start(self, command: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "trainer", *self.arguments(command, *more)],
            cwd=TRAINER,
            env=os.environ | self.variables | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_process(self, command: str, *more: str, **environment: str) -> Result:
        """Run a command in a process of its own, as a pod does: with fresh imports, and with an exit status."""
        process = self.start(command, *more, **environment)
        try:
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
        return Result(process.returncode, out, err)

    def run(self, command: str, *more: str) -> Result:
        """Run a command in this process, which has its libraries already: the same code from its command line on."""
        from trainer.__main__ import main

        out, err = io.StringIO(), io.StringIO()
        with as_found(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            os.environ.update(self.variables)
            status = main(self.arguments(command, *more))
        return Result(status, out.getvalue(), err.getvalue())

    def ok(self, command: str, *more: str) -> Result:
        """``run``, which has to succeed."""
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

    def history(self, metric: str) -> list[tuple[int, float]]:
        """The steps and values of a metric."""
        return [(point.step, point.value) for point in self.client.get_metric_history(self.run_id, metric)]

    def artifacts(self, folder: str) -> set[str]:
        return {item.path.rpartition("/")[2] for item in self.client.list_artifacts(self.run_id, folder)}

    def download(self, path: str, target: Path) -> Path:
        return Path(self.client.download_artifacts(self.run_id, path, str(target)))

    def signature(self) -> tuple[list[tuple[str, tuple[int, ...]]], list[tuple[int, ...]]]:
        """Names and shapes of the logged model's inputs, and shapes of its outputs."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        found = mlflow.models.get_model_info(self.tags["model_uri"]).signature
        return [(spec.name, spec.shape) for spec in found.inputs.inputs], [spec.shape for spec in found.outputs.inputs]

    def onnx(self, target: Path) -> Path:
        """The logged model's file."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        return Path(mlflow.artifacts.download_artifacts(self.tags["model_uri"], dst_path=str(target))) / "model.onnx"


def open_run(uri: str, experiment: str = "digits-detector") -> str:
    """A new run, as the DAG opens it."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment)
    return str(client.create_run(number, tags={"dag_id": "digits"}).info.run_id)


def make_pods(server: Server, workspace: Path, *options: str) -> Pods:
    """The commands of a new run, with small defaults that ``options`` come after."""
    defaults = [f"--dataset=digits?images=60&size=64&seed={SEED}", "--model=yolo11n.yaml", "--epochs=2"]
    defaults += ["--image-size=64", "--batch=16", f"--seed={SEED}"]
    return Pods(server.uri, workspace, open_run(server.uri), [*defaults, *options])
