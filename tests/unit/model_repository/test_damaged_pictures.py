"""Whatever bytes come: decoding gives a picture within the limit or says why not, and takes no more memory for it."""

from __future__ import annotations

import io
import re
import struct
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from encoded_images.decode import PictureError, decode
from PIL import Image

from tests.support.damaged_pictures import damaged, encoded, noise, png_chunk, whole_files

MAX_PIXELS = 250_000
# A picture at the limit is 0.75 MB decoded, and a decoder may hold it several times over; one of the huge declared
# sizes (16,383 x 16,383) would be 800 MB.
MAX_GROWTH = 96 * 2**20
REASONS = (
    *("is empty", "is not a JPEG, PNG or WebP", "million are decoded: send it smaller"),
    *("is a damaged JPEG", "is a damaged PNG", "is a damaged WebP"),
    *("is a JPEG that ends too early", "is a PNG that ends too early"),
)


def peak_memory() -> int:
    """The most memory that this process ever had, bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1024


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage that it reads over
@pytest.mark.parametrize("count", [3_000, pytest.param(30_000, marks=pytest.mark.soak)])
def test_damaged_pictures_are_refused_or_decoded_and_nothing_else(count: int) -> None:
    for content in whole_files(np.random.default_rng(1)):  # what is loaded when it is first used
        try_to_decode(content)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is what is used now
    before = peak_memory()
    outcomes = [try_to_decode(content) for content in islice(damaged(seed=2026), count)]
    decoded = outcomes.count("")
    print(f"{decoded} decoded, {count - decoded} refused; {(peak_memory() - before) / 2**20:.0f} MB")
    assert count / 20 < decoded < count * 19 / 20, "the damage is all of one kind"
    for reason in REASONS:
        assert any(reason in outcome for outcome in outcomes), f"nothing {reason}"
    assert peak_memory() - before < MAX_GROWTH


def try_to_decode(content: bytes) -> str:
    """Why it was refused; empty where it was decoded, to a picture that may be."""
    try:
        pixels = decode(content, MAX_PIXELS)
    except PictureError as error:
        message = str(error)
        assert message.startswith("is ") and "\n" not in message and len(message) < 400, message
        return message
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS, f"{pixels.shape} came out of {content[:64].hex()}"
    return ""


def test_every_whole_file_of_a_kind_that_is_taken_is_decoded() -> None:
    files = whole_files(np.random.default_rng(1))
    taken = [content for content in files if content[:2] in (b"\xff\xd8", b"\x89P", b"RI")]
    assert len(taken) > 10 and not any(try_to_decode(content) for content in taken)
    assert all(try_to_decode(content) for content in files if content not in taken)


def animated(frame_header: bytes = b"") -> bytes:
    """A PNG of two frames; `frame_header` goes before the second one."""
    random = np.random.default_rng(0)
    first = noise(random, 16, 24)
    content = encoded(first, "PNG", save_all=True, append_images=[first.rotate(180)])
    place = content.rindex(b"fcTL") - 4
    return content[:place] + frame_header + content[place:]


def test_of_an_animated_png_the_first_frame_is_decoded() -> None:
    with Image.open(io.BytesIO(animated())) as picture:
        assert picture.n_frames == 2  # type: ignore[attr-defined]
        np.testing.assert_array_equal(decode(animated(), MAX_PIXELS), np.asarray(picture.convert("RGB")))


def test_what_opencv_cannot_take_of_an_animated_png_does_not_reach_it() -> None:
    """The first ends OpenCV 4.11 with a segmentation fault; of the second it believes the frame's size."""
    broken = animated(b"\x66\x63\x54\x4c\0\0\0\1" + bytes(40))
    assert try_to_decode(broken).startswith("is a PNG that ends too early")
    huge = animated(png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 1, 30_000, 30_000, 0, 0, 1, 1, 0, 0)))
    assert decode(huge, MAX_PIXELS).shape == (16, 24, 3)
