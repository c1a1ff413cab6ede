"""Checks one request before it joins a batch, so that a bad one fails alone."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from yolo_server.errors import RequestError
from yolo_server.onnx_metadata import OnnxMetadata

Images = NDArray[np.generic]
Floats = NDArray[np.float32]

# A resize may overshoot 0-1 by a hair; values such as 0-255 are what this is to catch.
TOLERANCE = 0.01
# FP32 from 0 to 1 are, as integers, in the same order; those that are negative, infinite or no numbers are greater.
BITS_OF_ONE = np.float32(1).view(np.uint32)
ONE_INPUT = (
    "the request must have one of the inputs 'images' (FP32, 0-1), 'pixels' (UINT8) and 'encoded' (files), not more"
)


class Opened(NamedTuple):
    """One image as the model takes it, (1, 3, H, W), and what brings rows (n, 6) of it to where they were asked for."""

    images: Images
    place: Callable[[Floats], Floats]


class Job(Protocol):
    """A checked request: so many images, and its thresholds."""

    @property
    def confidence(self) -> float:
        """Least confidence of a detection."""

    @property
    def iou(self) -> float:
        """Overlap above which the less confident of two boxes goes."""

    def __len__(self) -> int:
        """How many images."""

    def open(self, number: int) -> Opened:
        """One of them, from 0. For several threads at the same time.

        Raises:
            RequestError: it cannot be opened.
        """


@dataclass(frozen=True)
class TensorJob:
    """A request of ready images (b, 3, H, W), FP32 0-1 or bytes 0-255; its boxes are in pixels of these."""

    images: Images
    confidence: float
    iou: float

    def __len__(self) -> int:
        """See Job."""
        return len(self.images)

    def open(self, number: int) -> Opened:
        """See Job."""
        return Opened(self.images[number : number + 1], lambda rows: rows)


@dataclass(frozen=True)
class Limits:
    """What the loaded model takes; `height` and `width` None: any multiple of `stride` up to `max_side`."""

    stride: int
    max_side: int
    height: int | None
    width: int | None

    @classmethod
    def of(cls, metadata: OnnxMetadata, image_size: int, max_side: int) -> "Limits":
        """The limits of a model: what it was trained for is always taken, whatever `max_side` a server has."""
        trained = -(-image_size // metadata.stride) * metadata.stride
        return cls(metadata.stride, max(max_side, trained), *metadata.fixed[1:])


def check_images(images: NDArray[np.generic] | None, pixels: NDArray[np.generic] | None, limits: Limits) -> Images:
    """Returns the images of a request as they are, FP32 or bytes, if the model can take them.

    Args:
        images: input `images`, 0-1; None: not in the request.
        pixels: input `pixels`, 0-255; None: not in the request.
        limits: of the loaded model.

    Raises:
        RequestError: they have the wrong type, shape or size, or values that are not 0-1; or not exactly one is given.
    """
    if (images is None) == (pixels is None):
        raise RequestError(ONE_INPUT)
    if pixels is not None:
        _check_shape("pixels", pixels, np.uint8, limits)
        return pixels
    assert images is not None
    _check_shape("images", images, np.float32, limits)
    if images.view(np.uint32).max() <= BITS_OF_ONE:  # in one pass over some megabytes, what takes two
        return images
    least, most = float(images.min()), float(images.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise RequestError("'images' has values that are not finite (NaN or infinity)")
    if least < -TOLERANCE or most > 1 + TOLERANCE:
        raise RequestError(f"'images' has values from {least:g} to {most:g}, but must be 0 to 1: divide pixels by 255")
    return images


def _check_shape(name: str, images: NDArray[np.generic], dtype: type[np.generic], limits: Limits) -> None:
    """Raises RequestError unless the array has this type and a shape that the model takes."""
    if images.dtype != dtype or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise RequestError(
            f"{name!r} is {images.dtype} with shape {list(images.shape)}, but must be {np.dtype(dtype)} with shape "
            "[batch, 3, height, width]"
        )
    height, width = images.shape[2:]
    if (limits.height or height, limits.width or width) != (height, width):
        raise RequestError(
            f"{name!r} are {width}x{height} pixels, but this model was exported for "
            f"{limits.width or 'any'}x{limits.height or 'any'} only: letterbox to that size"
        )
    if height % limits.stride or width % limits.stride:
        raise RequestError(
            f"{name!r} are {width}x{height} pixels, but width and height must be multiples of {limits.stride}: "
            "letterbox to such a size"
        )
    if max(height, width) > limits.max_side:
        raise RequestError(
            f"{name!r} are {width}x{height} pixels, but the longest side may be {limits.max_side}: send them smaller"
        )


def threshold(parameters: str, name: str, default: float) -> float:
    """A threshold from the request's parameters (a JSON object, as Triton gives it).

    Raises:
        RequestError: it is not a number from 0 to 1.
    """
    if not parameters:
        return default
    value = json.loads(parameters).get(name, default)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise RequestError(f"the parameter {name!r} is {value!r}, but must be a number from 0 to 1")
    return number
