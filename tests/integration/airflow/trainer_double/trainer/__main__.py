"""Stands in for the trainer image where a test is about the DAG: the same options, tags and artifacts, no training.

The dataset says what happens: `bad` exits with 2, `flaky` fails once. The numbers come from the hyperparameters `map50`
and `live`. It speaks MLflow's REST API itself, because importing MLflow's client takes longer than all the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import struct
import sys
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Any

DETECTION = [10.0, 10.0, 50.0, 50.0, 0.9, 1.0]
RUN = os.environ["MLFLOW_RUN_ID"]


def main() -> int:
    options = parse()
    print(f"{options.command} of {options.dataset} writes to {RUN}", flush=True)
    if options.dataset == "bad":
        print("ERROR: the dataset bad has no images; give one that has.", file=sys.stderr)
        return 2
    mark = options.workspace / f"{RUN}-{options.command}"
    if options.dataset == "flaky" and not mark.exists():
        mark.touch()
        print("ERROR: killed in the middle.", file=sys.stderr)
        return 1
    {"prepare": prepare, "train": train, "evaluate": evaluate}[options.command](options)
    if options.outputs:
        write_outputs(options)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    for name in ("dataset", "model", "device", "registered-model", "live-version"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("epochs", "image-size", "batch", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--hyperparameters", type=json.loads, required=True)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--outputs", type=Path)
    return parser.parse_args()


def prepare(options: argparse.Namespace) -> None:
    tag("dataset_digest", hashlib.sha256(options.dataset.encode()).hexdigest())
    tag("class_names", json.dumps(options.hyperparameters.get("classes", ["zero", "one"])))


def train(options: argparse.Namespace) -> None:
    content = f"{RUN} {options.hyperparameters}".encode()
    wanted = {"experiment_id": run_info()["experiment_id"], "name": "model", "source_run_id": RUN}
    info = call("POST", "mlflow/logged-models", wanted)["model"]["info"]
    upload(info["artifact_uri"], "model.onnx", content)
    ready = {"model_id": info["model_id"], "status": "LOGGED_MODEL_READY"}
    call("PATCH", f"mlflow/logged-models/{info['model_id']}", ready)
    tag("model_uri", f"models:/{info['model_id']}")
    tag("sha256", hashlib.sha256(content).hexdigest())
    tag("image_size", str(options.image_size))


def evaluate(options: argparse.Namespace) -> None:
    chosen = options.hyperparameters
    found = {"test": chosen.get("map50", 0.9)}
    if options.live_version:
        tag("live_version", options.live_version)
        found["live"] = chosen.get("live", 0.9)
    for prefix, value in found.items():
        metric(f"{prefix}/mAP50", value)
        metric(f"{prefix}/mAP50-95", value / 2)
    folder, images = run_info()["artifact_uri"], []
    for number in range(2):
        upload(folder, f"verification/{number}.png", grey(64, 60 + 90 * number))
        images.append({"file": f"{number}.png", "detections": [DETECTION]})
    expected = {"image_size": 64, "confidence": 0.25, "iou": 0.7, "class_names": ["zero", "one"], "images": images}
    upload(folder, "verification/expected.json", json.dumps(expected).encode())
    metric("verification_images", len(images))


def write_outputs(options: argparse.Namespace) -> None:
    data = call("GET", f"mlflow/runs/get?run_id={RUN}")["run"]["data"]
    tags = {each["key"]: each["value"] for each in data["tags"]}
    figures = {each["key"]: each["value"] for each in data.get("metrics", [])}
    found = {
        "prepare": {"dataset_digest": tags["dataset_digest"]},
        "train": {name: tags.get(name, "") for name in ("model_uri", "sha256")},
        "evaluate": {"figures": json.dumps(figures)},
    }[options.command]
    options.outputs.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (options.outputs / name).write_text(text)


def grey(side: int, level: int) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([level]) * side * 3) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def run_info() -> dict[str, Any]:
    info: dict[str, Any] = call("GET", f"mlflow/runs/get?run_id={RUN}")["run"]["info"]
    return info


def tag(key: str, value: str) -> None:
    call("POST", "mlflow/runs/set-tag", {"run_id": RUN, "key": key, "value": value})


def metric(key: str, value: float) -> None:
    body = {"run_id": RUN, "key": key, "value": value, "timestamp": int(time.time() * 1000), "step": 0}
    call("POST", "mlflow/runs/log-metric", body)


def upload(folder: str, name: str, content: bytes) -> None:
    path = folder.removeprefix("mlflow-artifacts:/")
    request("PUT", f"mlflow-artifacts/artifacts/{path}/{name}", content, "application/octet-stream")


def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    return json.loads(request(method, path, content, "application/json"))


def request(method: str, path: str, content: bytes | None, kind: str) -> bytes:
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/{path}"
    wanted = urllib.request.Request(url, content, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(wanted, timeout=30) as answer:
        body: bytes = answer.read()
        return body


if __name__ == "__main__":
    sys.exit(main())
