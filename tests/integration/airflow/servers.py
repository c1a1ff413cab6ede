"""The sandbox's Kubernetes as a process, and a double of Triton."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.processes import running, tail, until

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
DETECTION = [10.0, 10.0, 50.0, 50.0, 0.9, 1.0]
WRONG = [30.0, 30.0, 60.0, 60.0, 0.9, 1.0]


def one_line(text: str) -> str:
    """Text as it reads, wherever a log breaks it."""
    return " ".join(text.split())


@dataclass
class Kube:
    """The sandbox's Kubernetes API, whose trainer image is the double."""

    kubeconfig: Path

    @property
    def server(self) -> str:
        document = yaml.safe_load(self.kubeconfig.read_text())
        return str(document["clusters"][0]["cluster"]["server"])

    def request(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        request = urllib.request.Request(  # loopback only
            f"{self.server}/{path}", method=method, data=None if body is None else json.dumps(body).encode()
        )
        request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def apply(self, plural: str, manifest: dict[str, Any]) -> None:
        meta = manifest["metadata"]
        where = f"namespaces/{meta['namespace']}/{plural}" if "namespace" in meta else plural
        group = manifest["apiVersion"]
        root = f"api/{group}" if "/" not in group else f"apis/{group}"
        query = "fieldManager=test&force=true"
        self.request("PATCH", f"{root}/{where}/{meta['name']}?{query}", manifest, "application/apply-patch+yaml")


@contextlib.contextmanager
def kube_server(folder: Path) -> Iterator[Kube]:
    """The sandbox's Kubernetes, started by its own command."""
    images = folder / "images.yaml"
    double = {"venv": str(BIN.parent), "workdir": str(HERE / "trainer_double")}
    images.write_text(yaml.safe_dump({"images": {"yolo-trainer": double}}))
    command = [
        *(sys.executable, "-m", "sandbox.kube", "--root", str(folder), "--port", "0"),
        *("--repository-root", str(ROOT), "--images", str(images)),
    ]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "SANDBOX_HOME": str(folder)}
    log = folder / "kube.log"
    with running(command, log, variables, cwd=folder):
        kube = Kube(folder / "kubeconfig")
        until("the Kubernetes API starts", kube.kubeconfig.exists, lambda: tail(log))
        yield kube


@dataclass
class Served:
    """What the double of Triton says that it serves; `version` None, and no `source`: nothing is loaded.

    `source` is the folder of a model that is not made here.
    """

    url: str
    version: int | None = None
    sha256: str = ""
    run_id: str = ""
    code_commit: str = ""
    name: str = "digits-detector"
    source: str = ""
    detection: list[float] = field(default_factory=lambda: list(DETECTION))
    requests: int = 10
    failures: int = 0
    milliseconds: float = 5.0

    def config(self) -> dict[str, Any]:
        values = {
            "mlflow_model_name": self.name,
            "mlflow_model_version": str(self.version),
            "mlflow_run_id": self.run_id,
            "sha256": self.sha256,
            "code_commit": self.code_commit,
        }
        if self.source:
            values = {"source_uri": self.source}
        return {
            "name": "digits",
            "max_batch_size": 8,
            "parameters": {key: {"string_value": value} for key, value in values.items()},
        }

    def statistics(self) -> dict[str, Any]:
        good = {"count": self.requests - self.failures, "ns": int(self.milliseconds * 1e6 * self.requests)}
        stats = {"success": good, "fail": {"count": self.failures, "ns": 0}}
        return {"model_stats": [{"name": "digits", "version": "1", "inference_stats": stats}]}

    def inference(self) -> dict[str, Any]:
        info = {
            "name": self.name,
            "version": self.version,
            "run_id": self.run_id,
            "sha256": self.sha256,
            "code_commit": self.code_commit,
            "class_names": ["zero", "one"],
            "image_size": 64,
        }
        told = list(json.dumps(info).encode())
        return {
            "model_name": "digits",
            "model_version": "1",
            "outputs": [
                {"name": "detections", "datatype": "FP32", "shape": [1, 1, 6], "data": self.detection},
                {"name": "num_detections", "datatype": "INT32", "shape": [1, 1], "data": [1]},
                {"name": "model_info", "datatype": "UINT8", "shape": [1, len(told)], "data": told},
            ],
        }


@contextlib.contextmanager
def triton_doubles(*paths: str) -> Iterator[list[Served]]:
    """Answer Triton's HTTP protocol as far as the client asks, below each path; what is said is the objects' fields."""
    doubles = {path: Served("") for path in paths}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        @property
        def served(self) -> Served:
            return doubles[self.path.partition("/v2/")[0].strip("/")]

        def do_GET(self) -> None:
            answers = {"config": self.served.config, "stats": self.served.statistics}
            self.answer(answers.get(self.path.rpartition("/")[2], dict)())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(self.served.inference())

        def answer(self, content: dict[str, Any]) -> None:
            served = self.served
            loaded = served.version is not None or bool(served.source)
            body = json.dumps(content if loaded else {"error": "Request for unknown model: 'digits' is not found"})
            self.send_response(200 if loaded else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    for path, served in doubles.items():
        served.url = f"http://127.0.0.1:{server.server_address[1]}/{path}".rstrip("/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield list(doubles.values())
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
