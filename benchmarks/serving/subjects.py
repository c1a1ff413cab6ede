"""Starts what is measured, and measures one case on it."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.serving.cases import (
    FIRST,
    FIXED,
    FLOAT,
    GRPC,
    GRPC_SHM,
    HTTP,
    HTTP_SHM,
    IN_PROCESS,
    JPEG,
    LARGE_JPEG,
    UINT8,
    WIDE_JPEG,
    Case,
    Subject,
)
from benchmarks.serving.clients import GrpcClient, HttpClient, Payload, Region, grpc_request, http_request, stack
from benchmarks.serving.load import Window, closed_loop
from benchmarks.serving.pictures import Pictures
from benchmarks.serving.processes import BenchmarkError, Tree
from benchmarks.serving.triton import MODEL, ROOT, Triton
from benchmarks.serving.wire import Relay, bytes_per_request

MEMORY_EVERY = 0.4
PICTURES = 4


@dataclass(frozen=True)
class Measured:
    """One case in one round; `peak_mb` is the most memory that was seen of whoever serves."""

    window: Window
    peak_mb: float


class Measurable(Protocol):
    """A running subject."""

    subject: Subject
    inputs: Sequence[str]
    tree: Tree

    def measure(self, case: Case, seconds: float) -> Measured:
        """Runs one case; `seconds` is the least that its window takes."""

    def wire_bytes(self, case: Case) -> int:
        """Bytes of one request and its answer on the wire."""


class Bare:
    """An engine in a process of its own, without any server."""

    inputs: Sequence[str] = (FLOAT,)

    def __init__(self, subject: Subject, model: Path, tensors: Path, work: Path) -> None:
        """Starts the process; it loads its model before its first answer."""
        self.subject = subject
        command = [str(ROOT / ".venv" / "triton" / "bin" / "python"), "-m", "benchmarks.serving.inprocess"]
        command += [subject.engine, subject.precision, str(model), str(tensors)]
        command += ["fixed"] if subject.path == FIXED else []
        log = work / f"{' '.join(command[3:5] + command[7:])}.log"
        self.tree = Tree(command, log, {"PYTHONPATH": str(ROOT)}, work, conversation=True)

    def measure(self, case: Case, seconds: float) -> Measured:
        """Asks the process to run the loop, clients included: there is nothing else for them to do."""
        assert case.protocol == IN_PROCESS
        told, answers = self.tree.pipes
        with MemorySampler(self.tree) as memory:
            told.write(json.dumps({"clients": case.clients, "batch": case.batch, "seconds": seconds}) + "\n")
            told.flush()
            line = answers.readline()
        if not line or "error" in (answer := json.loads(line)):
            raise BenchmarkError(f"{case} failed: {line.strip() or self.tree.last_words()}")
        return Measured(Window(**answer), memory.peak)

    def wire_bytes(self, case: Case) -> int:
        """None: nothing leaves the process."""
        return 0


class Served:
    """A model on Triton."""

    def __init__(self, subject: Subject, triton: Triton, outputs: Sequence[str], pictures: Pictures) -> None:
        self.subject = subject
        self.tree = triton.tree
        self._triton = triton
        self._outputs = tuple(outputs)
        self._sources: dict[str, Source] = {}
        for model in triton.models:
            self._sources |= _sources(model, triton.config(model), pictures)
        self.inputs: Sequence[str] = tuple(self._sources)
        self.first: Measured | None = None
        self._last: tuple[tuple[str, int, bool], list[Payload], list[bytes]] | None = None

    def measure(self, case: Case, seconds: float) -> Measured:
        """Connects the clients, runs the loop, and disconnects them."""
        with ExitStack() as opened:
            calls = [self._client(case, number, self._port(case), opened) for number in range(case.clients)]
            with MemorySampler(self.tree) as memory:
                window = closed_loop(calls, seconds, self.tree.cpu_seconds, memory.rest_of_this_process)
        return Measured(window, memory.peak)

    def measure_first(self) -> Measured:
        """One client's first requests of JPEGs, on a server that has not been asked for boxes yet."""
        case = Case(self.subject, JPEG, HTTP, 1)
        with ExitStack() as opened, MemorySampler(self.tree) as memory:
            client = self._client(case, 0, self._port(case), opened)
            begin, cpu, own = time.perf_counter(), self.tree.cpu_seconds(), memory.rest_of_this_process()
            ends = [begin]
            for number in range(FIRST):
                client(number)
                ends.append(time.perf_counter())
            latencies = [end - start for start, end in pairwise(ends)]
            cpu = self.tree.cpu_seconds() - cpu
            window = Window(latencies, ends[-1] - begin, cpu, memory.rest_of_this_process() - own)
        return Measured(window, max(memory.peak, self.tree.memory_mb()))

    def wire_bytes(self, case: Case) -> int:
        """Counts them with a relay between one client and the server."""

        def count(requests: int) -> int:
            with ExitStack() as opened:
                relay = Relay(self._port(case))
                opened.callback(relay.close)
                client = self._client(case, 0, relay.port, opened)
                for number in range(requests):
                    client(number)
                return relay.total

        return bytes_per_request(count)

    def _client(self, case: Case, number: int, port: int, opened: ExitStack) -> HttpClient | GrpcClient:
        """A connected client; `opened` closes it, and its shared memory."""
        payloads, requests = self._prepared(case.input, case.batch, self._by_grpc(case))
        prepare = None
        if case.protocol in (HTTP_SHM, GRPC_SHM):
            size = max(payload.array.nbytes for payload in payloads)
            region = Region(self._triton.http_port, f"serving_benchmark_{self._triton.http_port}_{number}", size)
            opened.callback(region.close)
            requests = self._serialised(payloads, self._by_grpc(case), region)
            prepare = partial(_fill, region, payloads)
        client = (GrpcClient if self._by_grpc(case) else HttpClient)(port, requests, prepare)
        opened.callback(client.close)
        return client

    def _prepared(self, kind: str, batch: int, grpc: bool) -> tuple[list[Payload], list[bytes]]:
        """The requests of a case, which all its clients send; of the last case only, because they are large."""
        key = (kind, batch, grpc)
        if self._last is None or self._last[0] != key:
            payloads = [self._sources[kind](batch, offset, self._outputs) for offset in range(PICTURES)]
            self._last = (key, payloads, self._serialised(payloads, grpc, None))
        return self._last[1], self._last[2]

    @staticmethod
    def _serialised(payloads: Sequence[Payload], grpc: bool, region: Region | None) -> list[bytes]:
        make = grpc_request if grpc else http_request
        return [make(payload, region) for payload in payloads]

    @staticmethod
    def _by_grpc(case: Case) -> bool:
        return case.protocol in (GRPC, GRPC_SHM)

    def _port(self, case: Case) -> int:
        return self._triton.grpc_port if self._by_grpc(case) else self._triton.http_port


class MemorySampler:
    """Notes the largest proportional set size of a process tree while it is entered. `peak` in MiB."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._cpu = 0.0
        self.peak = 0.0

    def __enter__(self) -> "MemorySampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def rest_of_this_process(self) -> float:
        """Processor seconds of this process without those that looking at memory took."""
        return time.process_time() - self._cpu

    def _sample(self) -> None:
        while not self._done.wait(MEMORY_EVERY):
            if self._tree.running:
                self.peak = max(self.peak, self._tree.memory_mb())
            self._cpu = time.thread_time()


def _fill(region: Region, payloads: Sequence[Payload], index: int) -> None:
    region.fill(payloads[index].array)


Source = Callable[[int, int, tuple[str, ...]], Payload]


def _sources(model: str, config: Mapping[str, Any], pictures: Pictures) -> dict[str, Source]:
    """For each kind of input that a model's configuration names: what makes a request of it."""

    def source(name: str, kind: str, entries: Sequence[Any]) -> Source:
        return partial(_payload, model, name, kind, entries)

    found: dict[str, Source] = {}
    for entry in config["input"]:
        name, dims = entry["name"], [int(size) for size in entry["dims"]]
        if entry["data_type"] == "TYPE_FP32" and dims[:1] == [3]:
            found[FLOAT] = source(name, "FP32", list(pictures.tensors))
        elif entry["data_type"] == "TYPE_UINT8" and len(dims) == 3:
            pixels = pictures.pixels if dims[-1] == 3 else pictures.pixels.transpose(0, 3, 1, 2)
            found[UINT8] = source(name, "UINT8", list(pixels))
        elif entry["data_type"] == "TYPE_STRING":
            found[JPEG] = source(name, "BYTES", pictures.jpegs)
            found[LARGE_JPEG] = source(name, "BYTES", pictures.large_jpegs)
            found[WIDE_JPEG] = source(name, "BYTES", pictures.wide_jpegs)
    return found


def _payload(
    model: str, name: str, kind: str, entries: Sequence[Any], batch: int, offset: int, outputs: tuple[str, ...]
) -> Payload:
    return Payload(model, name, kind, stack(entries, batch, offset), outputs)


def what_is_loaded(triton: Triton) -> dict[str, Any]:
    """The JSON object that our model gives as `model_info`."""
    import tritonclient.http as http

    with http.InferenceServerClient(f"127.0.0.1:{triton.http_port}") as client:
        entry = http.InferInput("images", [1, 3, 64, 64], "FP32")
        entry.set_data_from_numpy(np.zeros((1, 3, 64, 64), np.float32))
        answer = client.infer(MODEL, [entry], outputs=[http.InferRequestedOutput("model_info")])
    told: dict[str, Any] = json.loads(answer.as_numpy("model_info").tobytes())
    return told
