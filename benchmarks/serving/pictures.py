"""The pictures that every path gets: scikit-learn's sample photos and their mirror images, which every machine has.

They are cut square, so that the network computes the same number of pixels in every path: a server that pads a wide
picture only to a multiple of the stride, as Ultralytics does, would otherwise have less to do than bare engines with
their square tensor.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

JPEG_QUALITY = 90


@dataclass(frozen=True)
class Pictures:
    """The same pictures in each form that a path takes.

    Attributes:
        jpegs: encoded, size x size.
        large_jpegs: encoded, twice as wide and high, so that the server has to scale them down.
        wide_jpegs: encoded, not cut: 3:2, `size` pixels wide.
        pixels: (n, size, size, 3) uint8 RGB.
    """

    jpegs: list[bytes]
    large_jpegs: list[bytes]
    wide_jpegs: list[bytes]
    pixels: NDArray[np.uint8]

    @property
    def tensors(self) -> NDArray[np.float32]:
        """(n, 3, size, size), 0-1."""
        return np.ascontiguousarray(self.pixels.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def load_pictures(size: int) -> Pictures:
    """Makes the pictures for a detector of `size` pixels."""
    from sklearn.datasets import load_sample_images

    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    photos += [ImageOps.mirror(photo) for photo in photos]
    square = [_square(photo, size) for photo in photos]
    wide = [photo.resize((size, round(photo.height * size / photo.width))) for photo in photos]
    return Pictures(
        jpegs=[_jpeg(photo) for photo in square],
        large_jpegs=[_jpeg(_square(photo, 2 * size)) for photo in photos],
        wide_jpegs=[_jpeg(photo) for photo in wide],
        pixels=np.stack([np.asarray(photo) for photo in square]),
    )


def _square(photo: Image.Image, size: int) -> Image.Image:
    return ImageOps.fit(photo, (size, size), Image.Resampling.LANCZOS)


def _jpeg(photo: Image.Image) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
