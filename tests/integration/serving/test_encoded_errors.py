"""What the model for picture files answers with an error is counted, per reason, and only once on the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from yolo_client import Detector, DetectorError, Protocol, RequestRefused

from tests.integration.serving.test_client import metrics
from tests.integration.serving.test_encoded import file, red
from tests.integration.serving.test_endurance import add_encoded
from tests.support.mlflow import Registered
from tests.support.triton import Triton

MODELS = ("yolo26n", "yolo26n_encoded")


def errors(triton: Triton, *models: str) -> dict[str, float]:
    """The counters of some models, by model and reason."""
    found = {}
    for line in metrics(triton, "yolo_request_errors_total"):
        labels = dict(part.split("=") for part in line.split("{")[1].split("}")[0].split(","))
        model, reason = labels["model"].strip('"'), labels["reason"].strip('"')
        if model in models:
            key = f"{model} {reason}"
            assert key not in found, "one series for all instances of a model"
            found[key] = float(line.rsplit(" ", 1)[1])
    return found


def wait_gone(triton: Triton, model: str) -> None:
    """Waits until a model's counters are gone; Triton ends a model's processes after it has answered."""
    deadline = time.monotonic() + 60
    while found := errors(triton, model):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def new_errors(triton: Triton, ask: Callable[[], object], *models: str) -> dict[str, float]:
    """By how much the counters grow while something is asked."""
    before = errors(triton, *models)
    ask()
    return {key: value - before[key] for key, value in errors(triton, *models).items() if value != before[key]}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_request_that_is_refused_is_counted_once_by_the_model_that_refused_it(
    serving: Triton, protocol: Protocol
) -> None:
    good = file(red(200, 200))
    url = serving.http if protocol == "http" else serving.grpc
    with Detector(url, "yolo26n_encoded", protocol) as client:

        def refused(*pictures: bytes, **thresholds: float) -> None:
            with pytest.raises(RequestRefused):
                client.detect_encoded(list(pictures), **thresholds)

        def ask_what_it_refuses() -> None:
            client.detect_encoded([good])
            for _ in range(6):  # more than there are instances of the model
                refused(b"")
            refused(good, b"no picture", b"nor is this")
            refused(good, confidence=2)

        assert new_errors(serving, ask_what_it_refuses, *MODELS) == {"yolo26n_encoded INVALID_ARG": 8}


def test_what_the_tensor_model_refuses_is_counted_there_and_not_again(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    add_encoded(tmp_path / "models")
    # Less than the 64 pixels to which pictures are letterboxed.
    triton: Triton = start_triton({"toy": toy.parameters()}, {"MODEL_MAX_SIDE": "32"})
    triton.wait_ready("toy", "toy_encoded")
    with Detector(triton.http, "toy_encoded") as client:

        def ask() -> None:
            with pytest.raises(RequestRefused, match="the longest side may be 32"):
                client.detect_encoded([file(red())])

        assert new_errors(triton, ask, "toy", "toy_encoded") == {"toy INVALID_ARG": 1}


def test_a_tensor_model_that_is_not_there_counts_nothing_so_its_twin_does(
    start_triton: Callable[..., Triton], toy: Registered, tmp_path: Path
) -> None:
    add_encoded(tmp_path / "models")
    explicit = ("--model-control-mode=explicit", "--load-model=*")
    triton: Triton = start_triton({"toy": toy.parameters()}, None, *explicit)
    triton.wait_ready("toy", "toy_encoded")
    picture = file(Image.new("RGB", (64, 64), (230, 0, 0)))
    with Detector(triton.http, "toy_encoded") as client:
        assert len(client.detect_encoded([picture])[0]) == 1
        assert triton.control("unload", "toy")[0] == 200

        def ask() -> None:
            for _ in range(3):
                with pytest.raises(DetectorError) as raised:
                    client.detect_encoded([picture])
                assert "'toy' is not ready" in str(raised.value)

        assert new_errors(triton, ask, "toy_encoded") == {"toy_encoded INTERNAL": 3}
        wait_gone(triton, "toy")

        # Loaded again, both count; a model that is loaded anew while the old one still answers counts on.
        for model in ("toy", "toy_encoded", "toy_encoded"):
            config = triton.repository / model / "config.pbtxt"
            config.write_text(config.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
            assert triton.control("load", model)[0] == 200
        assert len(client.detect_encoded([picture])[0]) == 1
        for _ in range(3):
            with pytest.raises(RequestRefused):
                client.detect_encoded([b""])
        none = dict.fromkeys(("toy INVALID_ARG", "toy INTERNAL"), 0)
        assert errors(triton, "toy", "toy_encoded") == none | {
            "toy_encoded INVALID_ARG": 3,
            "toy_encoded INTERNAL": 3,
        }
    assert triton.control("unload", "toy_encoded")[0] == 200
    wait_gone(triton, "toy_encoded")
