"""Checks of one request."""

from typing import Any

import numpy as np
import pytest
from model_server.errors import RequestError
from model_server.request import Limits, check_images, one_input, threshold

ANY = Limits(stride=32, max_side=640, height=None, width=None)


def test_good_images_come_back_uncopied() -> None:
    images = np.random.default_rng(0).random((2, 3, 64, 96), np.float32)
    assert check_images("images", images, ANY) is images


@pytest.mark.parametrize("value", [-0.005, 0.0, 1.0, 1.005])
def test_a_hair_outside_is_taken(value: float) -> None:
    assert check_images("images", np.full((1, 3, 32, 32), value, np.float32), ANY).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("images", "limits", "message"),
    [
        (np.zeros((1, 3, 64, 64), np.uint8), ANY, "uint8"),
        (np.zeros((1, 3, 64, 64), np.float64), ANY, "float64"),
        (np.zeros((3, 64, 64), np.float32), ANY, r"\[3, 64, 64\]"),
        (np.zeros((1, 1, 64, 64), np.float32), ANY, r"\[1, 1, 64, 64\]"),
        (np.zeros((0, 3, 64, 64), np.float32), ANY, r"\[0, 3, 64, 64\]"),
        (np.zeros((1, 3, 0, 64), np.float32), ANY, r"\[1, 3, 0, 64\]"),
        (np.zeros((1, 3, 33, 64), np.float32), ANY, "64x33 .* multiples of 32"),
        (np.zeros((1, 3, 32, 672), np.float32), ANY, "longest side may be 640"),
        (np.zeros((1, 3, 64, 64), np.float32), Limits(32, 640, 160, None), "exported for anyx160 only"),
        (np.full((1, 3, 32, 32), np.nan, np.float32), ANY, "not finite"),
        (np.full((1, 3, 32, 32), -np.inf, np.float32), ANY, "not finite"),
        (np.full((1, 3, 32, 32), 255, np.float32), ANY, "from 255 to 255"),
        (np.full((1, 3, 32, 32), -1, np.float32), ANY, "from -1 to -1"),
    ],
)
def test_bad_images(images: np.ndarray[Any, Any], limits: Limits, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_images("images", images, limits)


def test_one_bad_pixel_is_found() -> None:
    images = np.zeros((4, 3, 64, 64), np.float32)
    images[2, 1, 63, 0] = np.nan
    with pytest.raises(RequestError, match="not finite"):
        check_images("images", images, ANY)


def test_good_pixels_come_back_uncopied() -> None:
    pixels = np.zeros((2, 3, 64, 96), np.uint8)
    assert check_images("pixels", pixels, ANY) is pixels


def test_bytes_are_no_floats() -> None:
    with pytest.raises(RequestError, match="'pixels' is float32"):
        check_images("pixels", np.zeros((1, 3, 32, 32), np.float32), ANY)


def test_one_of_the_inputs() -> None:
    images, pixels = np.zeros((1, 3, 32, 32), np.float32), np.zeros((1, 3, 32, 32), np.uint8)
    known = {"images": "FP32, 0-1", "pixels": "UINT8", "encoded": "files"}
    assert one_input({"pixels": pixels}, known) == "pixels"
    said = r"one of the inputs 'images' \(FP32, 0-1\), 'pixels' \(UINT8\) and 'encoded' \(files\), not more"
    for both_or_none in ({"images": images, "pixels": pixels}, {}):
        with pytest.raises(RequestError, match=said):
            one_input(both_or_none, known)


@pytest.mark.parametrize(
    ("parameters", "expected"), [("", 0.25), ("{}", 0.25), ('{"iou": 1}', 0.25), ('{"confidence": "0.5"}', 0.5)]
)
def test_threshold(parameters: str, expected: float) -> None:
    assert threshold(parameters, "confidence", 0.25) == expected


@pytest.mark.parametrize("value", ["1.1", "-0.1", '"nan"', '"x"', "true", "null", "[0.5]"])
def test_bad_threshold(value: str) -> None:
    with pytest.raises(RequestError, match="'confidence' is"):
        threshold(f'{{"confidence": {value}}}', "confidence", 0.25)
