"""Checks one request before it joins a batch, so that a bad one fails alone."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model_server.errors import RequestError
from model_server.onnx_metadata import OnnxMetadata

Images = NDArray[np.generic]
Floats = NDArray[np.float32]
# The inputs that are in a request, by name.
Given = Mapping[str, NDArray[Any]]

# A resize may overshoot 0-1 by a hair; values such as 0-255 are what this is to catch.
TOLERANCE = 0.01
# FP32 from 0 to 1 are, as integers, in the same order; those that are negative, infinite or no numbers are greater.
BITS_OF_ONE = np.float32(1).view(np.uint32)


class Opened(NamedTuple):
    """One image as the model takes it, (1, 3, H, W), and what makes the model's output for it, (1, …), the answer.

    The output is valid until the next run of the model: the answer is no view of it.
    """

    images: Images
    finish: Callable[[Floats], Floats]


class Job(Protocol):
    """A checked request: so many images."""

    def __len__(self) -> int:
        """How many images."""

    def open(self, number: int) -> Opened:
        """One of them, from 0. For several threads at the same time.

        Raises:
            RequestError: it cannot be opened.
        """


@dataclass(frozen=True)
class TensorJob:
    """A request of ready images (b, 3, H, W), FP32 0-1 or bytes 0-255, and what makes the output of one the answer."""

    images: Images
    finish: Callable[[Floats], Floats]

    def __len__(self) -> int:
        """See Job."""
        return len(self.images)

    def open(self, number: int) -> Opened:
        """See Job."""
        return Opened(self.images[number : number + 1], self.finish)


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


def one_input(given: Given, known: Mapping[str, str]) -> str:
    """The name of the one input of a request; `known`: what there is to choose from, with a word on each.

    Raises:
        RequestError: there is none, or several.
    """
    if len(given) != 1:
        *others, last = (f"{name!r} ({kind})" for name, kind in known.items())
        raise RequestError(f"the request must have one of the inputs {', '.join(others)} and {last}, not more")
    return next(iter(given))


def check_images(name: str, images: NDArray[np.generic], limits: Limits) -> Images:
    """Returns the images of a request as they are, if the model can take them.

    Args:
        name: of the input: `images` are FP32, 0-1, and `pixels` are bytes, 0-255.
        images: it.
        limits: of the loaded model.

    Raises:
        RequestError: they have the wrong type, shape or size, or values that are not 0-1.
    """
    if name == "pixels":
        _check_shape(name, images, np.uint8, limits)
        return images
    _check_shape(name, images, np.float32, limits)
    if images.view(np.uint32).max() <= BITS_OF_ONE:  # in one pass over some megabytes, what takes two
        return images
    least, most = float(images.min()), float(images.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise RequestError(f"{name!r} has values that are not finite (NaN or infinity)")
    if least < -TOLERANCE or most > 1 + TOLERANCE:
        raise RequestError(f"{name!r} has values from {least:g} to {most:g}, but must be 0 to 1: divide pixels by 255")
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
            f"{limits.width or 'any'}x{limits.height or 'any'} only: bring them to that size"
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
