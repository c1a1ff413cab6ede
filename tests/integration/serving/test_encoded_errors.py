"""What the model for picture files answers with an error is counted, per reason, and only once on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from yolo_client import Detector, DetectorError, Protocol, RequestRefused

from tests.integration.serving.own_model import OwnModel
from tests.integration.serving.pictures import file, red
from tests.support.mlflow import Mlflow, Registered
from tests.support.processes import until
from tests.support.triton import Triton, add_model

MODELS = ("yolo26n", "yolo26n_encoded")


def errors(triton: Triton, *models: str) -> dict[str, float]:
    """The counters of some models, by model and reason."""
    found = {}
    for line in triton.metric_lines("yolo_request_errors_total"):
        labels = dict(part.split("=") for part in line.split("{")[1].split("}")[0].split(","))
        model, reason = labels["model"].strip('"'), labels["reason"].strip('"')
        if model in models:
            key = f"{model} {reason}"
            assert key not in found, "one series for all instances of a model"
            found[key] = float(line.rsplit(" ", 1)[1])
    return found


def wait_gone(triton: Triton, model: str) -> None:
    """Waits until a model's counters are gone; Triton ends a model's processes after it has answered."""
    until(f"{model} counts nothing any more", lambda: not errors(triton, model), seconds=60)


def new_errors(triton: Triton, ask: Callable[[], object], *models: str) -> dict[str, float]:
    """By how much the counters grow while something is asked."""
    before = errors(triton, *models)
    ask()
    return {key: value - before[key] for key, value in errors(triton, *models).items() if value != before[key]}


@pytest.mark.xdist_group("serving")
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


@pytest.fixture
def twins(own: OwnModel) -> Iterator[tuple[str, str]]:
    """The names of the test's own model and of its twin for pictures, which is there and not loaded yet."""
    twin = f"{own.name}_encoded"
    add_model(own.triton.repository, twin, template="yolo_encoded")
    yield own.name, twin
    own.triton.control("unload", twin)


@pytest.mark.xdist_group("loading")
def test_what_the_tensor_model_refuses_is_counted_there_and_not_again(
    own: OwnModel, twins: tuple[str, str], mlflow_server: Mlflow, handmade: Path
) -> None:
    model, twin = twins
    # Its twin pads to 64 pixels, the next multiple of the stride, and the tensor model takes 48.
    odd = mlflow_server.register("toy-of-48", handmade / "toy.onnx", class_names='["red", "green"]', image_size="48")
    own.serve(odd.parameters(), max_side="32")
    assert own.triton.control("load", twin)[0] == 200
    with Detector(own.triton.http, twin) as client:

        def ask() -> None:
            with pytest.raises(RequestRefused, match="the longest side may be 48"):
                client.detect_encoded([file(red())])

        assert new_errors(own.triton, ask, *twins) == {f"{model} INVALID_ARG": 1}


@pytest.mark.xdist_group("loading")
def test_a_tensor_model_that_is_not_there_counts_nothing_so_its_twin_does(
    own: OwnModel, twins: tuple[str, str], toy: Registered
) -> None:
    triton, (model, twin) = own.triton, twins
    own.serve(toy.parameters())
    assert triton.control("load", twin)[0] == 200
    picture = file(Image.new("RGB", (64, 64), (230, 0, 0)))
    with Detector(triton.http, twin) as client:
        assert len(client.detect_encoded([picture])[0]) == 1
        own.unload()

        def ask() -> None:
            for _ in range(3):
                with pytest.raises(DetectorError) as raised:
                    client.detect_encoded([picture])
                assert f"'{model}' is not ready" in str(raised.value)

        assert new_errors(triton, ask, twin) == {f"{twin} INTERNAL": 3}
        wait_gone(triton, model)

        # Loaded again, both count; a model that is loaded anew while the old one still answers counts on.
        for name in (model, twin, twin):
            config = triton.repository / name / "config.pbtxt"
            config.write_text(config.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
            assert triton.control("load", name)[0] == 200
        assert len(client.detect_encoded([picture])[0]) == 1
        for _ in range(3):
            with pytest.raises(RequestRefused):
                client.detect_encoded([b""])
        none = dict.fromkeys((f"{model} INVALID_ARG", f"{model} INTERNAL"), 0)
        assert errors(triton, *twins) == none | {f"{twin} INVALID_ARG": 3, f"{twin} INTERNAL": 3}
    assert triton.control("unload", twin)[0] == 200
    wait_gone(triton, twin)
