"""Many small models on one server, each with a version of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from yolo_client import Detector

from tests.support.mlflow import Mlflow
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("loading")

RED = np.zeros((1, 3, 64, 64), np.float32)
RED[:, 0] = 0.9


@pytest.mark.extended
@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.soak)])
def test_many_small_models_on_one_server(
    start_triton: Callable[..., Triton], mlflow_server: Mlflow, handmade: Path, count: int
) -> None:
    made = [mlflow_server.register("small", handmade / "toy.onnx", image_size="64") for _ in range(count)]
    assert len({each.version for each in made}) == count
    served = {f"small_{each.version}": each for each in made}
    started = time.monotonic()
    triton: Triton = start_triton({name: each.parameters() for name, each in served.items()})
    triton.wait_ready(*served, seconds=400)
    took = time.monotonic() - started

    def ask(name: str) -> tuple[int, str, float]:
        with Detector(triton.http, name) as by_http, Detector(triton.grpc, name, "grpc") as by_grpc:
            first, second = by_http.infer_and_tell(RED), by_grpc.infer_and_tell(RED)
        assert first.served == second.served
        return first.served.version, first.served.run_id, round(float(second.rows[0][0, 4]), 3)

    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(served, pool.map(ask, served), strict=True))
    print(f"{count} models were ready after {took:.1f} s and take {triton.memory_mb():.0f} MB")
    assert answers == {name: (each.version, each.run_id, 0.9) for name, each in served.items()}
