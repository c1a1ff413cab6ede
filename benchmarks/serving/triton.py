"""The real Triton from the nvidia-pytriton wheel, as a process tree that can be measured."""

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.serving.processes import BenchmarkError, Tree, free_ports

ROOT = Path(__file__).resolve().parents[2]
MODEL = "yolo"
TENSORS_SUFFIX = "_tensors"  # of the template; its name on the server is the model's
ENCODED_SUFFIX = "_encoded"
ENGINE_SUFFIX = "_engine"
SHARED = "shared"  # what model.py of each template imports, beside the templates
START_SECONDS = 180


class Triton:
    """A running server. `http_port`, `grpc_port`: on 127.0.0.1; `models`: their names."""

    def __init__(
        self, binary: Path, model: Path, work: Path, environment: Mapping[str, str], instances: int | None = None
    ) -> None:
        """Starts it on a copy of the model's folder, and of the ensembles around it beside that, if any.

        Args:
            binary: tritonserver.
            model: the folder.
            work: where copies and log go.
            environment: of the server, beyond this process's.
            instances: of the model, each of which is handed two images at most, as values of the chart would set it;
                None: what the folder says.
        """
        self.http_port, self.grpc_port = free_ports(2)
        models = work / "models"
        self.models = [MODEL]
        tensors, encoded = (model.with_name(model.name + suffix) for suffix in (TENSORS_SUFFIX, ENCODED_SUFFIX))
        # The ensembles' own files name the engine so.
        engine = models / (MODEL + ENGINE_SUFFIX if tensors.is_dir() else MODEL)
        shutil.copytree(model, engine)
        if (shared := model.with_name(SHARED)).is_dir():
            shutil.copytree(shared, engine / "1", dirs_exist_ok=True)
        if instances:
            _set_instances(engine / "config.pbtxt", instances)
        if tensors.is_dir():
            shutil.copytree(tensors, models / MODEL)
        if encoded.is_dir():
            self.models.append(MODEL + ENCODED_SUFFIX)
            shutil.copytree(encoded, models / self.models[-1])
        command = [str(binary), f"--model-repository={models}", "--allow-metrics=false", "--exit-timeout-secs=5"]
        command += ["--http-address=127.0.0.1", f"--http-port={self.http_port}"]
        command += ["--grpc-address=127.0.0.1", f"--grpc-port={self.grpc_port}"]
        self.tree = Tree(command, work / "triton.log", environment)

    def wait_ready(self) -> None:
        """Waits until every model can answer.

        Raises:
            BenchmarkError: it never does.
        """
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.tree.running:
            try:
                for model in self.models:
                    with urllib.request.urlopen(self._url(model, "/ready"), timeout=2):
                        pass
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise BenchmarkError(
            f"Triton's models were not ready within {START_SECONDS} s; the end of its log:\n{self.tree.last_words(15)}"
        )

    def config(self, model: str) -> dict[str, Any]:
        """A model's configuration, as Triton understood it."""
        with urllib.request.urlopen(self._url(model, "/config"), timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _url(self, model: str, path: str) -> str:
        return f"http://127.0.0.1:{self.http_port}/v2/models/{model}{path}"


def _set_instances(config: Path, instances: int) -> None:
    text = config.read_text(encoding="utf-8")
    for line in (
        f"instance_group [ {{ kind: KIND_CPU count: {instances} }} ]",
        "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 0 }",
    ):
        text, found = re.subn(f"^{line.split()[0]} .*$", line, text, flags=re.MULTILINE)
        if found != 1:
            raise BenchmarkError(f"{config} has no single line that begins with {line.split()[0]!r}")
    config.write_text(text, encoding="utf-8")


def build_image(folder: Path) -> Path:
    """Makes a folder with the server of the nvidia-pytriton wheel; returns its `tritonserver`."""
    import runpy

    build = runpy.run_path(str(ROOT / "tools" / "tritonserver" / "build.py"))["build"]
    binary: Path = build(ROOT / ".venv" / "triton", folder)
    return binary
