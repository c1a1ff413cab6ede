"""Sends requests to a served model over gRPC, and logs what each one took and gave: a line of JSON or CSV a request.

    python examples/log_requests.py --url 127.0.0.1:8001 --model digits --requests 200 --log requests.jsonl
    python examples/log_requests.py --url triton:8001 --model digits --log requests.csv pictures/

For a classifier the result is Triton's classification extension, score, class and label of the best; for a detector its
rows of boxes. Without pictures it sends noise of the size that the version was trained for, the same in each run. At
the end it prints p50, p95 and p99. Exit status 1: the model is not ready, or a request failed.

Needs numpy and tritonclient: `pip install "tritonclient[grpc]"`, or the image of docker/client.
"""

import argparse
import csv
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

Values = NDArray[Any]
FILES = {".jpg", ".jpeg", ".png", ".webp"}
SECONDS_BETWEEN_LOOKS = 0.5


class NotServed(Exception):
    """The model cannot be asked; the message says why and what to do."""


@dataclass(frozen=True)
class Entry:
    """A line of the log. `result` is what the model found, or None where `error` says what went wrong."""

    number: int
    time: str
    picture: str
    milliseconds: float
    result: Any
    error: str


@dataclass(frozen=True)
class Served:
    """What the server says of a model: the names of its inputs and outputs, and its `model_info`."""

    name: str
    inputs: set[str]
    outputs: set[str]
    info: dict[str, Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of its images: those of the export, or else of the training."""
        side = self.info["image_size"]
        return self.info.get("height") or side, self.info.get("width") or side


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Send requests to Triton over gRPC, and log time and result of each.")
    parser.add_argument("pictures", nargs="*", type=Path, help="picture files, or folders of them (default: noise)")
    parser.add_argument("--url", default="127.0.0.1:8001", help="address of Triton's gRPC")
    parser.add_argument("--model", required=True, help="Triton's name of the model, such as digits")
    parser.add_argument("--requests", type=int, default=100, help="how many, one picture each")
    parser.add_argument("--concurrency", type=int, default=1, help="requests under way at a time")
    parser.add_argument("--classes", type=int, default=3, help="of a classifier: how many of the best are logged")
    parser.add_argument("--log", type=Path, default=Path("requests.jsonl"), help="JSON lines; CSV if it ends with .csv")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds for the model to become ready")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for one request")
    return parser.parse_args(arguments)


def served(client: InferenceServerClient, model: str, wait: float) -> Served:
    """Waits until a model is ready, and asks what it is.

    Raises:
        NotServed: it is not ready in time, or is none of this project's.
    """
    until = time.monotonic() + wait
    while not _ready(client, model):
        if time.monotonic() > until:
            raise NotServed(
                f"{model} was not ready within {wait:g} s: check the address, the name and the server's log"
            )
        time.sleep(SECONDS_BETWEEN_LOOKS)
    told = client.get_model_metadata(model, as_json=True)
    inputs, outputs = ({each["name"] for each in told[kind]} for kind in ("inputs", "outputs"))
    if "model_info" not in outputs:
        raise NotServed(f"{model} gives no model_info: it is not made from one of model_repository's templates")
    # Nothing is inferred where this alone is asked for.
    probe = payload(b"") if "pixels" not in inputs else payload(np.zeros((3, 32, 32), np.uint8))
    answer = client.infer(model, [probe], outputs=[InferRequestedOutput("model_info")])
    return Served(model, inputs, outputs, json.loads(answer.as_numpy("model_info").tobytes()))


def _ready(client: InferenceServerClient, model: str) -> bool:
    try:
        return bool(client.is_model_ready(model))
    except InferenceServerException:
        return False  # the server is not there yet


def payload(picture: bytes | Values) -> InferInput:
    """The input of one picture: a file's bytes, or RGB (3, height, width), 0-255."""
    name, kind = ("encoded", "BYTES") if isinstance(picture, bytes) else ("pixels", "UINT8")
    value = np.array([[picture]], object) if isinstance(picture, bytes) else picture[None]
    entry = InferInput(name, list(value.shape), kind)
    entry.set_data_from_numpy(value)
    return entry


def pictures_of(paths: Sequence[Path], shape: tuple[int, int]) -> list[tuple[str, InferInput]]:
    """Names and inputs of what is sent again and again: the files, or noise.

    Raises:
        NotServed: there are no picture files where the command line names.
    """
    if not paths:
        noise = np.random.default_rng(0).integers(0, 256, (4, 3, *shape), np.uint8)
        return [(f"noise {number}", payload(picture)) for number, picture in enumerate(noise)]
    found = [each for path in paths for each in (sorted(path.iterdir()) if path.is_dir() else [path])]
    files = [each for each in found if each.suffix.lower() in FILES]
    if not files:
        raise NotServed(f"{', '.join(map(str, paths))}: no picture files (JPEG, PNG, WebP) are there")
    return [(each.name, payload(each.read_bytes())) for each in files]


def asked_of(model: Served, classes: int) -> tuple[list[InferRequestedOutput], Callable[[InferResult], Any]]:
    """The outputs to ask for, and what reads the result out of an answer."""
    if "scores" in model.outputs:
        return [InferRequestedOutput("scores", class_count=classes)], _best
    wanted = [InferRequestedOutput(name) for name in ("detections", "num_detections")]
    return wanted, lambda answer: _rows(answer, model.info.get("class_names") or [])


def _best(answer: InferResult) -> list[dict[str, Any]]:
    """Triton's own texts, `score:index:label`, taken apart."""
    parts = (text.decode().split(":", 2) for text in answer.as_numpy("scores")[0])
    return [{"score": float(score), "class": int(index), "label": "".join(label)} for score, index, *label in parts]


def _rows(answer: InferResult, names: Sequence[str]) -> list[dict[str, Any]]:
    count = int(answer.as_numpy("num_detections")[0, 0])
    rows = answer.as_numpy("detections")[0, :count].tolist()
    return [
        {"score": row[4], "class": int(row[5]), "label": names[int(row[5])] if names else "", "box": row[:4]}
        for row in rows
    ]


@contextmanager
def log_file(path: Path) -> Iterator[Callable[[Entry], None]]:
    """What writes a line for a request, at once, so that it outlives this process. For several threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = threading.Lock()
    with path.open("w", encoding="utf-8", newline="", buffering=1) as file:
        table = csv.DictWriter(file, [each.name for each in fields(Entry)]) if path.suffix.lower() == ".csv" else None
        if table:
            table.writeheader()

        def write(entry: Entry) -> None:
            with lock:
                if table:
                    table.writerow(asdict(entry) | {"result": json.dumps(entry.result)})
                else:
                    file.write(f"{json.dumps(asdict(entry))}\n")

        yield write


class Sender:
    """Sends requests to one model, each on a connection that no other thread uses meanwhile."""

    def __init__(self, url: str, model: Served, classes: int, timeout: float, connections: int) -> None:
        self._model, self._timeout = model.name, timeout
        self._wanted, self._read = asked_of(model, classes)
        self._free: queue.SimpleQueue[InferenceServerClient] = queue.SimpleQueue()
        for _ in range(connections):
            self._free.put(InferenceServerClient(url))

    def send(self, number: int, name: str, picture: InferInput) -> Entry:
        """One request, as a line of the log; it is sent once, whatever comes of it."""
        client, result, error = self._free.get(), None, ""
        began, started = datetime.now(UTC).isoformat(timespec="milliseconds"), time.perf_counter()
        try:
            answer = client.infer(self._model, [picture], outputs=self._wanted, client_timeout=self._timeout)
        except InferenceServerException as problem:
            error = str(problem)
        milliseconds = round((time.perf_counter() - started) * 1000, 3)
        self._free.put(client)
        if not error:
            result = self._read(answer)
        return Entry(number, began, name, milliseconds, result, error)

    def close(self) -> None:
        """Ends the connections."""
        while not self._free.empty():
            self._free.get().close()


def model_of(options: argparse.Namespace) -> Served:
    """The model that is asked: a detector takes picture files under a name of its own (docs/clients.md).

    Raises:
        NotServed: it cannot be.
    """
    with InferenceServerClient(options.url) as client:
        model = served(client, options.model, options.wait)
        if options.pictures and "encoded" not in model.inputs:
            model = served(client, f"{options.model}_encoded", options.wait)
        return model


def run(options: argparse.Namespace) -> list[Entry]:
    """Sends all requests and logs them; the lines of the log.

    Raises:
        NotServed: the model cannot be asked.
    """
    model = model_of(options)
    said = f"{model.info['name']} version {model.info['version']}, sha256 {model.info['sha256'][:12]}…"
    print(f"{model.name} serves {said}", flush=True)
    pictures = pictures_of(options.pictures, model.shape)
    sender = Sender(options.url, model, options.classes, options.timeout, options.concurrency)
    with log_file(options.log) as write, ThreadPoolExecutor(options.concurrency) as pool:

        def one(number: int) -> Entry:
            entry = sender.send(number, *pictures[number % len(pictures)])
            write(entry)
            return entry

        entries = list(pool.map(one, range(options.requests)))
    sender.close()
    return entries


def summary(entries: Sequence[Entry]) -> str:
    """One line on all requests: times are those of requests that were answered."""
    times = [entry.milliseconds for entry in entries if not entry.error]
    said = f"{len(entries)} requests, {len(entries) - len(times)} failed"
    if not times:
        return said
    percentiles = zip((50, 95, 99), np.percentile(times, (50, 95, 99)), strict=True)
    return ", ".join([said, *(f"p{share} {value:.2f} ms" for share, value in percentiles)])


def main(arguments: list[str] | None = None) -> int:
    """Sends, logs, and says how it went."""
    options = parse(arguments)
    try:
        entries = run(options)
    except (NotServed, InferenceServerException, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    print(f"{summary(entries)}; {options.log}")
    failed = [entry for entry in entries if entry.error]
    if failed:
        print(f"ERROR: request {failed[0].number} of {options.model} failed: {failed[0].error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
