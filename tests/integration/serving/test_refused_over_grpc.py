"""Requests that are refused, over gRPC on a busy machine, all outputs asked: each is answered, and Triton continues.

An ensemble ends a request at the first step that fails, while the gRPC thread may still be starting the next step: each
of the two then waits for the other's lock, for ever, and the model answers nobody any more (Triton 2.51, found by gdb).
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from tests.support.mlflow import Registered
from tests.support.processes import end
from tests.support.triton import Triton, add_model

pytestmark = pytest.mark.xdist_group("loading")

CLIENTS = 8
# Seconds until an answer has been lost. After the first one nobody asks any more.
LOST = 30


@contextmanager
def busy() -> Iterator[None]:
    """Programs that take the processor, so that Triton's threads are interrupted between any two of their steps."""
    with ExitStack() as stack:
        for _ in range(4):
            program = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], start_new_session=True)
            stack.callback(end, program)
        yield


def refused(address: str, name: str, given: np.ndarray, datatype: str, times: int) -> Counter[str]:
    """What that many wrong requests, one after another, are told."""
    told: Counter[str] = Counter()
    model = "toy" if name == "images" else "toy_encoded"
    tensor = triton_grpc.InferInput(name, list(given.shape), datatype)
    tensor.set_data_from_numpy(given)
    with triton_grpc.InferenceServerClient(address) as client:
        for _ in range(times):
            try:
                client.infer(model, [tensor], client_timeout=LOST)
                told["an answer"] += 1
            except InferenceServerException as error:
                told[str(error.message())[-60:]] += 1
                if "Deadline" in str(error.message()):
                    break
    return told


@pytest.mark.parametrize("times", [150, pytest.param(3_000, marks=pytest.mark.soak)], ids=["short", "long"])
def test_a_wrong_request_holds_nobody_up(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path, times: int
) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    add_model(repository, "toy_encoded", template="yolo_encoded")
    triton = start_triton({"toy": toy.parameters()})
    triton.wait_ready("toy", "toy_encoded")
    address = f"127.0.0.1:{triton.grpc_port}"
    cases = {
        "images": (np.zeros((1, 3, 33, 33), np.float32), "FP32"),
        "encoded": (np.array([[b"no picture"]], dtype=object), "BYTES"),
    }
    with busy(), ThreadPoolExecutor(CLIENTS) as pool:
        started = [
            pool.submit(refused, address, name, given, datatype, times)
            for name, (given, datatype) in cases.items()
            for _ in range(CLIENTS // len(cases))
        ]
        told = sum((each.result() for each in started), Counter[str]())
    assert sorted(told.values()) == [CLIENTS // 2 * times] * 2, told
    assert all("multiples of 32" in text or "JPEG, PNG or WebP" in text for text in told), told
