"""Two instances of one model: both answer, each knows when the other is at work, and nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from yolo_client import Detector

from tests.support.mlflow import Registered
from tests.support.processes import until
from tests.support.triton import Triton, add_model

pytestmark = pytest.mark.xdist_group("loading")


def test_two_instances_answer_side_by_side_and_leave_nothing(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    temporary, repository = tmp_path / "temporary", tmp_path / "models"
    temporary.mkdir()
    repository.mkdir()
    config = add_model(repository, "toy", toy.parameters()) / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    for one, two in (
        ("count: 1 ", "count: 2 "),
        ("dynamic_batching { ", "dynamic_batching { preferred_batch_size: [ 2 ] "),
    ):
        assert text.count(one) == 1
        text = text.replace(one, two)
    config.write_text(text, encoding="utf-8")
    explicit = ("--model-control-mode=explicit", "--load-model=*")
    triton: Triton = start_triton({}, {"TMPDIR": str(temporary)}, *explicit)
    triton.wait_ready("toy")
    assert triton.log.count("serves 'toy'") == 2

    def ask(number: int) -> float:
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[..., 0] = 100 + number
        with Detector(triton.http, "toy") as client:
            (rows,) = client.detect([picture], confidence=0.1)
        return float(rows[0, 4])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(100)))
    np.testing.assert_allclose(found, (100 + np.arange(100)) / 255, atol=1e-3)
    with Detector(triton.http, "toy") as client:
        many = client.detect([np.full((64, 64, 3), 100, np.uint8)] * 8, confidence=0.1)
    assert len(many) == 8 and all(len(rows) for rows in many), "a request of more than the preferred size is one"
    (shared,) = temporary.glob("yolo-instances-*")
    assert shared.read_bytes() == bytes(2), "nobody is at work any more"

    assert triton.control("unload", "toy_engine")[0] == 200
    until("the file of the instances is gone", lambda: not shared.exists())
