"""What is refused of picture files is counted once, by the model that both names lead to; and what if it is gone."""

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
    until(f"{model} counts nothing any more", lambda: not errors(triton, model))


def new_errors(triton: Triton, ask: Callable[[], object], *models: str) -> dict[str, float]:
    """By how much the counters grow while something is asked."""
    before = errors(triton, *models)
    ask()
    return {key: value - before[key] for key, value in errors(triton, *models).items() if value != before[key]}


@pytest.mark.xdist_group("serving")
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_request_that_is_refused_is_counted_once_by_the_model_itself(serving: Triton, protocol: Protocol) -> None:
    good = file(red(200, 200))
    url = serving.http if protocol == "http" else serving.grpc
    with Detector(url, "yolo26n_encoded", protocol) as client:

        def refused(*pictures: bytes, **thresholds: float) -> None:
            with pytest.raises(RequestRefused):
                client.detect_encoded(list(pictures), **thresholds)

        def ask_what_it_refuses() -> None:
            client.detect_encoded([good])
            for _ in range(6):
                refused(b"")
            refused(good, b"no picture", b"nor is this")
            refused(good, confidence=2)

        assert new_errors(serving, ask_what_it_refuses, *MODELS) == {"yolo26n INVALID_ARG": 8}


@pytest.fixture
def twins(own: OwnModel) -> Iterator[tuple[str, str]]:
    """The names of the test's own model and of its twin for pictures, which is there and not loaded yet."""
    twin = f"{own.name}_encoded"
    add_model(own.triton.repository, twin, template="yolo_encoded")
    yield own.name, twin
    own.triton.control("unload", twin)


@pytest.mark.xdist_group("loading")
def test_a_training_between_two_multiples_of_the_stride_takes_pictures(
    own: OwnModel, twins: tuple[str, str], mlflow_server: Mlflow, handmade: Path
) -> None:
    _, twin = twins
    # Pictures are padded to 64 pixels, the next multiple of the stride.
    odd = mlflow_server.register("toy-of-48", handmade / "toy.onnx", class_names='["red", "green"]', image_size="48")
    own.serve(odd.parameters(), max_side="32")
    assert own.triton.control("load", twin)[0] == 200
    with Detector(own.triton.http, twin) as client:
        assert len(client.detect_encoded([file(red())])[0]) == 1


@pytest.mark.xdist_group("loading")
def test_the_second_name_is_there_with_the_model_and_not_without(
    own: OwnModel, twins: tuple[str, str], toy: Registered
) -> None:
    triton, (model, twin) = own.triton, twins
    own.serve(toy.parameters())
    assert triton.control("load", twin)[0] == 200
    picture = file(Image.new("RGB", (64, 64), (230, 0, 0)))
    with Detector(triton.http, twin) as client:
        assert client.takes_files() and len(client.detect_encoded([picture])[0]) == 1
        own.unload()
        assert not client.takes_files()
        with pytest.raises(DetectorError):
            client.detect_encoded([picture])
        wait_gone(triton, model)

        # Loaded again; a model that is loaded anew while the old one still answers counts on.
        own.serve(toy.parameters())
        assert triton.control("load", twin)[0] == 200
        assert len(client.detect_encoded([picture])[0]) == 1
        for _ in range(3):
            with pytest.raises(RequestRefused):
                client.detect_encoded([b""])
        assert errors(triton, *twins) == {f"{model} INVALID_ARG": 3, f"{model} INTERNAL": 0}
