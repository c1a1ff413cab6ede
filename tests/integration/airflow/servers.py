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
    """What the double of Triton says that it serves; `version` None: nothing is loaded."""

    url: str
    version: int | None = None
    sha256: str = ""
    run_id: str = ""
    name: str = "digits-detector"
    detection: list[float] = field(default_factory=lambda: list(DETECTION))

    def config(self) -> dict[str, Any]:
        values = {
            "mlflow_model_name": self.name,
            "mlflow_model_version": str(self.version),
            "mlflow_run_id": self.run_id,
            "sha256": self.sha256,
        }
        return {
            "name": "digits",
            "max_batch_size": 8,
            "parameters": {key: {"string_value": value} for key, value in values.items()},
        }

    def inference(self) -> dict[str, Any]:
        info = {
            "name": self.name,
            "version": self.version,
            "run_id": self.run_id,
            "sha256": self.sha256,
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
def triton_double() -> Iterator[Served]:
    """Answers Triton's HTTP protocol as far as the client asks; what it says is the returned object's fields."""
    served = Served("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(served.config() if self.path.endswith("/config") else {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(served.inference())

        def answer(self, content: dict[str, Any]) -> None:
            loaded = served.version is not None
            body = json.dumps(content if loaded else {"error": "Request for unknown model: 'digits' is not found"})
            self.send_response(200 if loaded else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
