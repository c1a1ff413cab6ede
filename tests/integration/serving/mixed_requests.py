"""Requests as they come from outside: good ones, bad ones of every kind, and files that were damaged on the way."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from tritonclient.utils import InferenceServerException

from tests.support.damaged_pictures import damaged, encoded, noise

# The server that these are for is told so, by MODEL_MAX_PIXELS.
MAX_PIXELS = 500_000
OUTPUTS = ("detections", "num_detections")
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """One request. `confidence`: of the first image's best row; `error`: what the refusal has to say, a regex."""

    name: str
    model: str
    inputs: Mapping[str, tuple[str, Array]]
    confidence: float | None = None
    error: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    def ask(self, module: ModuleType, client: Any) -> None:
        """Sends it by tritonclient's `http` or `grpc`; fails where the outcome is not as it has to be."""
        given = []
        for name, (datatype, value) in self.inputs.items():
            given.append(module.InferInput(name, list(value.shape), datatype))
            given[-1].set_data_from_numpy(value)
        wanted = [module.InferRequestedOutput(name) for name in OUTPUTS]
        parameters = dict(self.parameters) or None
        try:
            answer = client.infer(self.model, given, outputs=wanted, parameters=parameters)
        except InferenceServerException as error:
            message = str(error.message())
            assert self.error and re.search(self.error, message), f"{self.name}: {message}"
            return
        assert self.confidence is not None, f"{self.name} was answered"
        if self.confidence >= 0:
            found = float(answer.as_numpy("detections")[0, 0, 4])
            assert abs(found - self.confidence) < 0.02, f"{self.name}: {found}"


def red(height: int, width: int) -> Image.Image:
    """A picture in which the toy finds class 0 with 0.9."""
    return Image.new("RGB", (width, height), (230, 0, 0))


def tensor(value: float = 0.9, size: tuple[int, int] = (64, 64), batch: int = 1) -> Array:
    """Red images, (batch, 3, height, width)."""
    images = np.zeros((batch, 3, *size), np.float32)
    images[:, 0] = value
    return images


def huge() -> bytes:
    """A PNG whose header says 20,000 x 20,000."""
    content = bytearray(encoded(red(8, 8), "PNG"))
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def tensors() -> list[Case]:
    """Requests to the tensor model."""

    def case(name: str, images: Array, datatype: str = "FP32", **rest: Any) -> Case:
        return Case(name, "toy", {"images": (datatype, images)}, **rest)

    bytes_of_red = (tensor() * 255).astype(np.uint8)
    both = {"images": ("FP32", tensor()), "pixels": ("UINT8", bytes_of_red)}
    multiple, range_ = "must be multiples of 32", "must be a number from 0 to 1"
    return [
        case("an image", tensor(), confidence=0.9),
        case("a batch of large images", tensor(size=(256, 320), batch=4), confidence=0.9),
        Case("bytes", "toy", {"pixels": ("UINT8", np.repeat(bytes_of_red, 3, axis=0))}, confidence=0.9),
        case("NaN", tensor(np.nan), error="not finite"),
        case("infinity", tensor(np.inf), error="not finite"),
        case("0 to 255", tensor(200), error="divide pixels by 255"),
        case("an odd size", tensor(size=(50, 64)), error=multiple),
        case("too large", tensor(size=(32, 2080)), error="the longest side may be 2048"),
        case("four channels", np.zeros((1, 4, 64, 64), np.float32), error="unexpected shape"),
        case("three dimensions", np.zeros((3, 64, 64), np.float32), error="unexpected shape"),
        case("the wrong type", bytes_of_red, "UINT8", error="data-type is 'UINT8'"),
        case("too many", tensor(batch=9), error="batch-size must be <= 8"),
        Case("both inputs", "toy", both, error="one of the inputs"),
        case("confidence of 1.5", tensor(), parameters={"confidence": "1.5"}, error=f"'confidence' is '1.5'.*{range_}"),
        case("iou of NaN", tensor(), parameters={"iou": "nan"}, error=f"'iou' is 'nan'.*{range_}"),
        case("confidence in words", tensor(), parameters={"confidence": "sure"}, error=f"'sure'.*{range_}"),
    ]


def pictures(name: str, *contents: bytes, **rest: Any) -> Case:
    """A request to the model that takes picture files."""
    batch = np.array([[content] for content in contents], np.object_)
    return Case(name, "toy_encoded", {"encoded": ("BYTES", batch)}, **rest)


def files() -> list[Case]:
    """Requests with picture files, whole ones and some that a person could have named."""
    random = np.random.default_rng(0)
    good, other = encoded(red(64, 64), "PNG"), red(64, 64).rotate(90)
    photos = [encoded(noise(random, 480, 640), "JPEG", quality=95) for _ in range(4)]
    over = encoded(red(800, 640), "JPEG")
    half = photos[0][: len(photos[0]) // 2]
    numbers = np.zeros((1, 1), np.float32)
    return [
        pictures("PNG", good, confidence=0.9),
        pictures("JPEG", encoded(red(128, 128), "JPEG", quality=100), confidence=0.9),
        pictures("WebP", encoded(red(200, 200), "WEBP", lossless=True), confidence=0.9),
        pictures("animated PNG", encoded(red(64, 64), "PNG", save_all=True, append_images=[other]), confidence=0.9),
        pictures("a batch of photos", *photos, confidence=-1),
        pictures("empty", b"", error="the picture is empty"),
        pictures("text", b"hello, I am no picture", error="is not a JPEG, PNG or WebP"),
        pictures("GIF", encoded(red(8, 8), "GIF"), error="is not a JPEG, PNG or WebP"),
        pictures("half a JPEG", half, error="the picture is a JPEG that ends too early"),
        pictures("half a PNG", good[:-20], error="the picture is a PNG that ends too early"),
        pictures("over the limit", over, error="640x800 pixels, 1 million, but at most 0.5 million are decoded"),
        pictures("20,000x20,000", huge(), error="20000x20000 pixels, 400 million"),
        pictures("a bad one among good ones", good, b"", good, error="picture 2 of 3 is empty"),
        pictures("nine", *[good] * 9, error="batch-size must be <= 8"),
        pictures("iou of 2", good, parameters={"iou": "2"}, error="'iou' is '2', but must be a number from 0 to 1"),
        Case("no file", "toy_encoded", {"encoded": ("FP32", numbers)}, error="data-type is 'FP32'"),
    ]


def broken(count: int, seed: int) -> list[Case]:
    """Damaged files: an answer, or a refusal that speaks of the picture."""
    contents = islice(damaged(seed), count)
    return [
        pictures(f"damaged {index}", each, confidence=-1, error="the picture is") for index, each in enumerate(contents)
    ]
