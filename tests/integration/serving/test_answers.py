"""What comes back from the served models: the right boxes for every image, and an error for a bad request alone."""

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException
from yolo_client import Detector, Protocol, RequestRefused
from yolo_client.letterbox import Floats

from tests.integration.serving.agreement import assert_same_objects
from tests.integration.serving.asking import ask
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")

Expected = Callable[[str, int], tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]]

RED_BOX = [12, 20, 28, 28]
GREEN_BOX = [35, 30, 45, 50]


def detector(triton: Triton, model: str, protocol: Protocol = "http") -> Detector:
    """A client of one model."""
    return Detector(triton.http if protocol == "http" else triton.grpc, model, protocol)


def colored(red: float, green: float, size: tuple[int, int] = (64, 64)) -> Floats:
    """An image (1, 3, height, width) of one colour."""
    image = np.zeros((1, 3, *size), np.float32)
    image[:, 0], image[:, 1] = red, green
    return image


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("architecture", ["yolo11n", "yolo26n"])
@pytest.mark.parametrize("size", [160, 224])
def test_every_image_of_a_batch_has_the_boxes_that_ultralytics_finds(
    serving: Triton, expected: Expected, architecture: str, size: int, protocol: Protocol
) -> None:
    images, rows = expected(architecture, size)
    with detector(serving, architecture, protocol) as client:
        found = client.infer(images)
    assert [len(each) for each in found] == [len(each) for each in rows]
    assert min(len(each) for each in rows) > 20, "the exported model finds too little to prove anything"
    assert not np.array_equal(rows[0][:20], rows[1][:20]), "the images of the batch cannot be told apart"
    for ours, theirs in zip(found, rows, strict=True):
        assert_same_objects(ours, theirs, score=1e-4, place=0.01)


def test_every_image_of_a_batch_has_its_own_boxes(serving: Triton) -> None:
    batch = np.concatenate([colored(0.9, 0.1), colored(0.1, 0.1), colored(0.3, 0.8), colored(0.1, 0.5)])
    with detector(serving, "toy") as client:
        both, none, two, green = client.infer(batch)
    np.testing.assert_allclose(both, [[*RED_BOX, 0.9, 0]], atol=1e-4)
    assert none.shape == (0, 6)
    np.testing.assert_allclose(two, [[*GREEN_BOX, 0.8, 1], [*RED_BOX, 0.3, 0]], atol=1e-4)
    np.testing.assert_allclose(green, [[*GREEN_BOX, 0.5, 1]], atol=1e-4)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_thresholds_come_with_the_request(serving: Triton, protocol: Protocol) -> None:
    image = colored(0.2, 0.6)
    with detector(serving, "toy", protocol) as client:
        assert [len(client.infer(image, least)[0]) for least in (None, 0.1, 0.5, 0.7)] == [1, 2, 1, 0]
    with detector(serving, "yolo11n", protocol) as client:
        noise = np.random.default_rng(1).random((1, 3, 160, 160), np.float32)
        strict, loose = (len(client.infer(noise, 0.1, overlap)[0]) for overlap in (0.1, 0.9))
        assert strict < loose


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (320, 64)])
def test_any_size_that_is_a_multiple_of_the_stride(serving: Triton, size: tuple[int, int]) -> None:
    with detector(serving, "toy") as client:
        np.testing.assert_allclose(client.infer(colored(0.7, 0, size))[0], [[*RED_BOX, 0.7, 0]], atol=1e-4)


def test_an_export_of_fixed_batch_and_size_answers_any_batch(serving: Triton) -> None:
    reds = [0.3, 0.5, 0.9]
    with detector(serving, "fixed") as client:
        found = client.infer(np.concatenate([colored(red, 0) for red in reds]))
        np.testing.assert_allclose([rows[0, 4] for rows in found], reds, atol=1e-4)
        with pytest.raises(RequestRefused, match="96x96 pixels, but this model was exported for 64x64 only"):
            client.infer(colored(0.3, 0, (96, 96)))


def test_clients_at_the_same_time_get_their_own_answers_in_common_batches(serving: Triton) -> None:
    reds = np.linspace(0.3, 0.9, 160).round(4)

    def ask_for(part: list[float]) -> list[float]:
        with detector(serving, "toy") as client:
            return [float(client.infer(colored(red, 0, (256, 256)))[0][0, 4]) for red in part]

    # Whether two of them wait at the same time is up to the machine: asked until it happens.
    for _ in range(10):
        before = executions(serving, "toy_engine")
        with ThreadPoolExecutor(8) as pool:
            found = [value for values in pool.map(ask_for, np.split(reds, 8)) for value in values]
        np.testing.assert_allclose(found, reds, atol=1e-3)
        after = executions(serving, "toy_engine")
        assert after[0] - before[0] == len(reds)
        if after[1] - before[1] < len(reds):
            return
    raise AssertionError("no two requests were run together")


def executions(triton: Triton, model: str) -> tuple[int, int]:
    """Images inferred, and executions, so far."""
    with urllib.request.urlopen(f"{triton.http}/v2/models/{model}/stats", timeout=5) as response:
        (stats,) = json.load(response)["model_stats"]
    return stats["inference_count"], stats["execution_count"]


BAD = [
    (np.full((1, 3, 64, 64), np.nan, np.float32), {}, "not finite"),
    (np.full((1, 3, 64, 64), np.inf, np.float32), {}, "not finite"),
    (np.full((1, 3, 64, 64), 200, np.float32), {}, "must be 0 to 1: divide pixels by 255"),
    (np.zeros((1, 3, 50, 64), np.float32), {}, "64x50 pixels, but width and height must be multiples of 32"),
    (np.zeros((1, 3, 32, 4096), np.float32), {}, "the longest side may be 2048"),
    (np.zeros((1, 4, 64, 64), np.float32), {}, "unexpected shape"),
    (np.zeros((9, 3, 64, 64), np.float32), {}, "batch-size must be <= 8"),
    (np.zeros((1, 3, 64, 64), np.float32), {"confidence": 1.5}, "'confidence' is '1.5', but must be a number from 0"),
    (np.zeros((1, 3, 64, 64), np.float32), {"iou": float("nan")}, "'iou' is 'nan', but must be a number from 0 to 1"),
]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("images", "thresholds", "message"), BAD, ids=[entry[2][:30] for entry in BAD])
def test_a_bad_request_is_refused_with_its_reason_and_the_server_keeps_answering(
    serving: Triton, images: Floats, thresholds: dict[str, float], message: str, protocol: Protocol
) -> None:
    with detector(serving, "toy", protocol) as client:
        with pytest.raises(RequestRefused, match=message):
            client.infer(images, **thresholds)
        assert len(client.infer(colored(0.9, 0))[0]) == 1


def test_bytes_instead_of_floats(serving: Triton, expected: Expected) -> None:
    images, _ = expected("yolo11n", 160)
    pixels = np.rint(images * 255).astype(np.uint8)
    as_floats = ask(serving, "yolo11n", images=pixels.astype(np.float32) / np.float32(255))
    np.testing.assert_allclose(ask(serving, "yolo11n", pixels=pixels), as_floats, atol=1e-2)


def test_the_wrong_type_or_number_of_inputs_is_refused(serving: Triton) -> None:
    images, pixels = np.zeros((1, 3, 64, 64), np.float32), np.zeros((1, 3, 64, 64), np.uint8)
    with pytest.raises(InferenceServerException, match="data-type is 'UINT8'"):
        ask(serving, "toy", images=pixels)
    with pytest.raises(InferenceServerException, match="one of the inputs"):
        ask(serving, "toy", images=images, pixels=pixels)


def test_bad_requests_among_good_ones_fail_alone(serving: Triton) -> None:
    bad = np.full((1, 3, 64, 64), np.nan, np.float32)

    def ask_for(number: int) -> str:
        with detector(serving, "toy") as client:
            try:
                (rows,) = client.infer(bad if number % 4 == 0 else colored(0.5, 0))
                return f"{len(rows)} box"
            except RequestRefused:
                return "refused"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask_for, range(64)))
    assert found == ["refused" if number % 4 == 0 else "1 box" for number in range(64)]


def test_what_the_model_itself_cannot_do_is_an_error_of_that_request(serving: Triton) -> None:
    with detector(serving, "yolo26n") as client:
        with pytest.raises(RequestRefused, match="inference failed"):
            client.infer(np.zeros((1, 3, 64, 64), np.float32))  # its 300 best of only 84 anchors
        assert len(client.infer(np.zeros((1, 3, 160, 160), np.float32))) == 1
