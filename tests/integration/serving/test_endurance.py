"""Many requests, good and bad, over both protocols: each gets what it deserves, and memory does not grow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
import tritonclient.grpc
import tritonclient.http

from tests.integration.serving.mixed_requests import MAX_PIXELS, Case, broken, files, tensors
from tests.support.mlflow import Registered
from tests.support.triton import Triton, add_model

# Every this many requests one is a damaged file, each another.
DAMAGED_EVERY = 20
PARTS = 5
# Two clients of each protocol.
PROTOCOLS: tuple[ModuleType, ...] = (tritonclient.http, tritonclient.grpc) * 2
# Measured in the long form: 427 MB after the warm-up, then between 441 and 450 (allocators keep some of what they
# freed, each thread by itself). There, a request of this mix that left 5 KB behind would be noticed; in the short form,
# one that left 60 KB.
MAX_GROWTH_MB = 48

pytestmark = pytest.mark.xdist_group("loading")


def each_client(triton: Triton, work: Callable[[ModuleType, object], None]) -> None:
    """Does the work with every client, all at once."""

    def run(module: ModuleType) -> None:
        address = f"127.0.0.1:{triton.http_port if module is tritonclient.http else triton.grpc_port}"
        client = module.InferenceServerClient(address)
        try:
            work(module, client)
        finally:
            client.close()

    with ThreadPoolExecutor(len(PROTOCOLS)) as pool:
        for done in [pool.submit(run, module) for module in PROTOCOLS]:
            done.result()


def send_all(triton: Triton, cases: list[Case]) -> None:
    """Every client sends every case, all at the same time."""

    def work(module: ModuleType, client: object) -> None:
        for case in cases:
            case.ask(module, client)

    each_client(triton, work)


def send(triton: Triton, cases: list[Case], rare: list[Case], total: int) -> None:
    """Sends that many requests: the cases in turn, and the rare ones in between."""
    numbers, lock = count(), threading.Lock()

    def work(module: ModuleType, client: object) -> None:
        while True:
            with lock:
                number = next(numbers)
            if number >= total:
                return
            turn, between = divmod(number, DAMAGED_EVERY)
            case = cases[number % len(cases)] if between else rare[turn % len(rare)]
            case.ask(module, client)

    each_client(triton, work)


@pytest.mark.parametrize(
    ("warm_up", "count"), [(400, 800), pytest.param(1_500, 10_000, marks=pytest.mark.soak)], ids=["short", "long"]
)
def test_memory_does_not_grow_over_many_mixed_requests(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path, warm_up: int, count: int
) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    add_model(repository, "toy_encoded", template="yolo_encoded")
    triton: Triton = start_triton({"toy": toy.parameters()}, {"MODEL_MAX_PIXELS": str(MAX_PIXELS)})
    triton.wait_ready("toy", "toy_encoded")
    cases = tensors() + files()
    # The pools of shared memory grow in steps to what the largest requests need that come together, and stay so large.
    send_all(triton, [case for case in cases if "batch of" in case.name] * 10)
    send(triton, cases, broken(warm_up // DAMAGED_EVERY, seed=1), warm_up)
    measured = [triton.memory_mb()]
    for part in range(PARTS):
        send(triton, cases, broken(count // PARTS // DAMAGED_EVERY, seed=2 + part), count // PARTS)
        measured.append(triton.memory_mb())
    print("MB after the warm-up and after each part: " + ", ".join(f"{each:.0f}" for each in measured))
    send_all(triton, cases)
    assert triton.log.count("serves 'toy'") == 1, "no process was started again"
    assert measured[-1] - measured[0] < MAX_GROWTH_MB
