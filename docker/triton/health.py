#!/usr/bin/env python3
"""Whether this image can do its work: every pinned package is there, and Triton serves a Python model that uses them.

Needs neither network nor volume; the server listens on one free port of loopback and is stopped again. Prints what it
found; ends with 1 and one line for each thing that is wrong.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path(__file__).with_name("requirements.txt")
SECONDS = 120
CONFIG = """
name: "health"
backend: "python"
input [{ name: "IN", data_type: TYPE_FP32, dims: [ 2 ] }]
output [{ name: "OUT", data_type: TYPE_FP32, dims: [ 2 ] }]
output [{ name: "FOUND", data_type: TYPE_STRING, dims: [ 1 ] }]
"""
# What model_repository/*/1/model.py imports, inside the Python backend's own interpreter.
MODEL = """
import sys
import cv2, mlflow, numpy as np, onnxruntime, requests
import triton_python_backend_utils as pb_utils
from PIL import Image
sys.modules["openvino_telemetry"] = None
import openvino

class TritonPythonModel:
    def execute(self, requests):
        found = "Python %d.%d, onnxruntime %s (%s), openvino %s (%s), numpy %s" % (
            *sys.version_info[:2], onnxruntime.__version__, ", ".join(onnxruntime.get_available_providers()),
            openvino.__version__.partition("-")[0], ", ".join(openvino.Core().available_devices), np.__version__)
        answers = []
        for request in requests:
            values = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            out = pb_utils.Tensor("OUT", values * np.float32(2))
            text = pb_utils.Tensor("FOUND", np.array([found.encode()], dtype=object))
            answers.append(pb_utils.InferenceResponse([out, text]))
        return answers
"""


def pins(path: Path = PINS) -> Iterator[str]:
    """What is not installed as the file says."""
    for name, wanted in re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE):
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not there"
        if found != wanted:
            yield f"{name} is {found}, and {path.name} says {wanted}"


def serving(folder: Path) -> Iterator[str]:
    """Whether Triton loads a Python model and answers a request."""
    server = shutil.which("tritonserver")
    if server is None:
        yield "there is no tritonserver on PATH: BASE must be an image of Triton with the Python backend"
        return
    model = folder / "models" / "health"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(CONFIG)
    (model / "1" / "model.py").write_text(MODEL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, f"--model-repository={folder / 'models'}", "--http-address=127.0.0.1", f"--http-port={port}"]
    command += ["--allow-grpc=false", "--allow-metrics=false", "--exit-timeout-secs=5"]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            answer = ask(process, f"http://127.0.0.1:{port}/v2/models/health")
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if answer is None:
        tail = " | ".join(log.read_text(errors="replace").splitlines()[-8:])
        yield f"tritonserver did not serve a Python model in {SECONDS} s. The end of its log: {tail}"
        return
    outputs = {each["name"]: each["data"] for each in answer["outputs"]}
    found = outputs["FOUND"][0]
    sys.stdout.write(f"{found}\n")
    if outputs["OUT"] != [3.0, -4.0]:
        yield f"the Python model doubled 1.5 and -2 to {outputs['OUT']}"
    if os.environ.get("YOLO_IMAGE_VARIANT") == "gpu" and "CUDAExecutionProvider" not in found:
        yield "this is the variant gpu, and ONNX Runtime is not built for CUDA"


def ask(process: "subprocess.Popen[bytes]", url: str) -> "dict | None":
    """The answer to one request, as soon as the model is ready; None if that does not come to be."""
    values = {"name": "IN", "shape": [2], "datatype": "FP32", "data": [1.5, -2.0]}
    body = json.dumps({"inputs": [values]}).encode()
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/ready", timeout=5).close()
            with urllib.request.urlopen(f"{url}/infer", data=body, timeout=30) as response:
                answer: dict = json.load(response)
                return answer
        except OSError:
            time.sleep(0.2)
    return None


def main() -> int:
    """Check everything, even after a first failure."""
    with tempfile.TemporaryDirectory() as folder:
        wrong = [*pins(), *serving(Path(folder))]
    for line in wrong:
        sys.stderr.write(f"unhealthy: {line}\n")
    sys.stdout.write(f"user {os.getuid()}:{os.getgid()}, {'not healthy' if wrong else 'healthy'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
