"""Triton from the wheel, on loopback, with the models of `model_repository`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.paths import ROOT, TRITON_VENV
from tests.support.processes import answers, free_port, running, until

TEMPLATES = ROOT / "model_repository"
BUILD = ROOT / "tools" / "tritonserver" / "build.py"


def build_triton(out: Path) -> Path:
    """Makes the sandbox's `tritonserver` in a folder; its path."""
    subprocess.run([sys.executable, str(BUILD), "--venv", str(TRITON_VENV), "--out", str(out)], check=True)
    return out / "bin" / "tritonserver"


def add_model(
    repository: Path, model: str, parameters: Mapping[str, str] | None = None, template: str = "yolo"
) -> Path:
    """Puts a model into a repository, as the chart's init container does: its engine and the name for tensors.

    With the template `yolo_encoded`, only the name for picture files of an engine that is there.

    Returns:
        The engine's folder.
    """
    engine = f"{model.removesuffix('_encoded')}_engine"
    if template == "yolo":
        _add_folder(repository, engine, "yolo", engine, parameters or {})
        template = "yolo_tensors"
    _add_folder(repository, model, template, engine, parameters or {})
    return repository / engine


def add_classifier(repository: Path, model: str, parameters: Mapping[str, str], labels: Sequence[str]) -> Path:
    """Puts a classifier into a repository, with the names of its classes; its folder."""
    _add_folder(repository, model, "classifier", model, parameters)
    (repository / model / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return repository / model


def _add_folder(repository: Path, name: str, template: str, engine: str, parameters: Mapping[str, str]) -> None:
    target = repository / name
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(TEMPLATES / template, target)
    if (target / "1" / "model.py").exists():
        shutil.copytree(TEMPLATES / "shared", target / "1", dirs_exist_ok=True)
    text = (target / "config.pbtxt").read_text(encoding="utf-8")
    with (target / "config.pbtxt").open("w", encoding="utf-8") as config:
        config.write(text.replace('model_name: "yolo_engine"', f'model_name: "{engine}"'))
        for key, value in parameters.items():
            config.write(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n')


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
    def log_file(self) -> Path:
        """Where it writes."""
        return self.repository.parent / f"triton-{self.http_port}.log"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def running(self) -> Iterator[Triton]:
        """Starts the server, without waiting for it, and ends it."""
        command = [str(self.executable), f"--model-repository={self.repository}", *self.options]
        command.append("--disable-auto-complete-config")  # as the chart does
        for kind, port in (("http", self.http_port), ("grpc", self.grpc_port), ("metrics", self.metrics_port)):
            command += [f"--{kind}-port={port}", f"--{kind}-address=127.0.0.1"]
        outer = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "MODEL_"))}
        with running(command, self.log_file, outer | dict(self.variables)) as self.process:
            yield self

    def ready(self, model: str) -> bool:
        """Whether the model can answer now."""
        return answers(self._ready_url(model))

    def wait_ready(self, *models: str, seconds: float = 90) -> None:
        """Waits until the models are ready, and for the metrics: their port is opened after HTTP's."""
        for address in (*map(self._ready_url, models), self.metrics):
            self._wait(address, seconds)

    def _ready_url(self, model: str) -> str:
        return f"{self.http}/v2/models/{model}/ready"

    def wait_live(self, seconds: float = 90) -> None:
        """Waits until the server answers, whatever its models do."""
        self._wait(f"{self.http}/v2/health/live", seconds)

    def _wait(self, address: str, seconds: float) -> None:
        def answered() -> bool:
            assert self.process is not None and self.process.poll() is None, f"Triton ended:\n{self.log[-4000:]}"
            return answers(address)

        until(f"{address} answers", answered, lambda: self.log[-4000:], seconds)

    def wait_ended(self, seconds: float = 90) -> int:
        """Waits until the server gave up, as it does when its only model cannot be loaded; returns its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def wait_logged(self, text: str, seconds: float = 90) -> None:
        """Waits until the log has a text."""
        until(f"{text!r} is in the log", lambda: text in self.log, lambda: self.log[-4000:], seconds)

    def control(self, action: str, model: str) -> tuple[int, dict[str, Any]]:
        """Loads or unloads a model by Triton's repository API: HTTP status and answer.

        Loading a public name loads its engine; unloading the engine is what frees it, and then neither name is ready.
        """
        request = urllib.request.Request(f"{self.http}/v2/repository/models/{model}/{action}", data=b"{}")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def metric_lines(self, family: str) -> list[str]:
        """The lines of one metric on the server's metrics port."""
        with urllib.request.urlopen(self.metrics, timeout=5) as response:
            return [line for line in response.read().decode().splitlines() if line.startswith(f"{family}{{")]

    def memory_mb(self) -> float:
        """Resident memory of the server and of its models' processes; what they share counts in each."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        return sum(float(each.memory_info().rss) for each in (server, *server.children(recursive=True))) / 2**20

    def reason(self, model: str) -> str:
        """The one line that says why a model is not ready."""
        lines = [line for line in self.log.splitlines() if f'"{model} is not ready: ' in line]
        assert len(lines) == 1, f"{len(lines)} lines say why {model} is not ready:\n{self.log[-4000:]}"
        return lines[0].split(" is not ready: ", 1)[1].rstrip('"')
