"""The checks of a dataset and the server find the end of a JPEG in the same place, whatever follows it."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from encoded_images.jpeg import end_of
from PIL import Image
from trainer.datasets.image_file import inspect


def jpeg(seed: int, side: int = 64, **options: object) -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", **options)
    return content.getvalue()


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF data hold another one."""
    segment = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + jpeg(1, 16)
    plain = jpeg(2)
    return plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]


JPEGS = {
    "baseline": jpeg(3),
    "progressive": jpeg(4, progressive=True),
    "restarts": jpeg(5, restart_marker_blocks=2),
    "thumbnail": with_thumbnail(),
    "comment": jpeg(6, comment=b"\xff\xd9\xff\xda\xff\xd8"),
}


def blob(seed: int) -> bytes:
    """What a phone puts behind a picture: noise with starts, scans and ends of other JPEGs in it."""
    source = random.Random(seed)
    marks = [source.choice((b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9", jpeg(seed, 16))) for _ in range(6)]
    return b"".join(source.randbytes(source.randrange(3000)) + mark for mark in marks) + b"\0"


@pytest.mark.parametrize("kind", JPEGS)
def test_both_find_the_end_before_anything_that_follows(kind: str) -> None:
    whole = JPEGS[kind]
    assert end_of(whole) == len(whole) and inspect(whole, "0.jpg").kept is None
    for seed in range(40):
        assert end_of(whole + blob(seed)) == inspect(whole + blob(seed), "0.jpg").kept == len(whole)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_broken_off_one_has_no_end(kind: str) -> None:
    whole = JPEGS[kind]
    assert not [length for length in range(len(whole)) if end_of(whole[:length]) is not None]
