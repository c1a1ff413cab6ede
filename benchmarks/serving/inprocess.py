"""Runs in Triton's environment: a bare engine in a process of its own, measured like the servers are.

Reads JSON lines {"clients", "batch", "seconds"} and answers each with {"latencies", "seconds", "cpu"} or {"error"}. One
thread a client, all on one loaded model, as a careful person would set it: as many threads as there are processors;
OpenVINO with one stream for one client, and with one a processor for more. The model is the one that was exported, with
height and width open; `fixed` as the last argument: OpenVINO is told the tensors' shape before it compiles, for batches
of one image only.
"""

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.load import Call, closed_loop

Tensors = NDArray[np.float32]
# Gives each client a function of its own that runs the network on a batch.
Engine = Callable[[int], list[Callable[[Tensors], Any]]]

PROCESSORS = len(os.sched_getaffinity(0))


def onnxruntime_engine(model: Path) -> Engine:
    """One session, which its threads share."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = PROCESSORS
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda clients: [lambda batch: session.run(None, {name: batch})] * clients


def openvino_engine(model: Path, precision: str, shape: tuple[int, ...] | None) -> Engine:
    """One model compiled for latency and, when there are several clients, one for throughput; `shape`: for it alone."""
    # Its import would start a process that reports to Google Analytics; without this package it does not.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino
    from openvino import properties
    from openvino.properties import hint

    core = openvino.Core()
    compiled: dict[int, Any] = {}

    def compile_for(streams: int) -> Any:
        mode = hint.PerformanceMode.LATENCY if streams == 1 else hint.PerformanceMode.THROUGHPUT
        settings: dict[Any, Any] = {
            hint.performance_mode: mode,
            hint.inference_precision: openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32,
            properties.inference_num_threads: PROCESSORS,
            properties.num_streams: streams,
            # Pinned threads of the servers beside it would sit on the same processors.
            hint.enable_cpu_pinning: False,
        }
        network = _network(core, model, precision)
        if shape:
            network.reshape(list(shape))
        return core.compile_model(network, "CPU", settings)

    def requests(clients: int) -> list[Callable[[Tensors], Any]]:
        streams = 1 if clients == 1 else PROCESSORS
        if streams not in compiled:
            compiled[streams] = compile_for(streams)
        return [_infer(compiled[streams].create_infer_request()) for _ in range(clients)]

    return requests


def _network(core: Any, model: Path, precision: str) -> Any:
    """The ONNX, or the file in OpenVINO's own format that was quantized from it and is beside it."""
    if precision != "int8":
        return core.read_model(model)
    with zipfile.ZipFile(model.with_name("model.int8.zip")) as archive:
        return core.read_model(archive.read("model.xml"), archive.read("model.bin"))


def _infer(request: Any) -> Callable[[Tensors], Any]:
    return lambda batch: request.infer({0: batch}, share_inputs=True, share_outputs=True)


def calls_for(engine: Engine, tensors: Tensors, clients: int, batch: int) -> list[Call]:
    """What `clients` clients call: each request is a batch of pictures, a different one each time."""
    batches = [np.ascontiguousarray(np.take(tensors, range(i, i + batch), 0, mode="wrap")) for i in range(len(tensors))]

    def call(run: Callable[[Tensors], Any]) -> Call:
        return lambda number: run(batches[number % len(batches)])

    return [call(run) for run in engine(clients)]


def main(name: str, precision: str, model: Path, tensors: Path, fixed: bool) -> None:
    """Serves requests for measurements until standard input ends."""
    images = np.load(tensors)
    shape = (1, *images.shape[1:]) if fixed else None
    engine = onnxruntime_engine(model) if name == "onnxruntime" else openvino_engine(model, precision, shape)
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            calls = calls_for(engine, images, wanted["clients"], wanted["batch"])
            answer = asdict(closed_loop(calls, wanted["seconds"], time.process_time, lambda: 0.0))
        except Exception as error:  # the parent reports it with the case
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:] == ["fixed"])
