"""Picture files, and what may become of them on the way or at the hands of somebody who means harm; by a seed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
Random = np.random.Generator


def noise(random: Random, height: int, width: int) -> Image.Image:
    """A picture that does not compress to nothing."""
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def whole_files(random: Random) -> list[bytes]:
    """Small files of each kind, and of the kinds within: progressive, with a palette, animated, with EXIF."""
    pictures = [noise(random, *size) for size in ((16, 24), (40, 33), (1, 1))]
    files = [encoded(picture, kind) for picture in pictures for kind in KINDS]
    small, other = pictures[0], pictures[0].rotate(180)
    exif = Image.Exif()
    exif[0x0112] = 6
    files += [
        encoded(small, "JPEG", progressive=True, exif=exif),
        encoded(small.convert("CMYK"), "JPEG"),
        encoded(small.quantize(16), "PNG"),
        encoded(small.convert("RGBA"), "PNG"),
        encoded(small, "PNG", save_all=True, append_images=[other]),
        encoded(small, "WEBP", lossless=True),
        encoded(small, "WEBP", save_all=True, append_images=[other]),
        encoded(small.convert("RGBA"), "WEBP", exif=exif),
    ]
    return files


def flipped(content: bytes, random: Random) -> bytes:
    """Some bits the other way round."""
    changed = bytearray(content)
    for place in random.integers(0, len(changed), random.integers(1, 16)):
        changed[place] ^= 1 << int(random.integers(0, 8))
    return bytes(changed)


def truncated(content: bytes, random: Random) -> bytes:
    """Only its beginning."""
    return content[: int(random.integers(0, len(content)))]


def overwritten(content: bytes, random: Random) -> bytes:
    """A run of bytes replaced by others, of all kinds or all the same."""
    start, length = int(random.integers(0, len(content))), int(random.integers(1, 64))
    same = bytes([int(random.integers(0, 256))]) * length
    return content[:start] + (same if random.random() < 0.5 else random.bytes(length)) + content[start + length :]


def shuffled(content: bytes, random: Random) -> bytes:
    """A part of it left out, or there twice."""
    start, end = sorted(int(place) for place in random.integers(0, len(content), 2))
    return content[:start] + content[end:] if random.random() < 0.5 else content[:end] + content[start:]


def padded(content: bytes, random: Random) -> bytes:
    """With something behind its end."""
    return content + random.bytes(int(random.integers(1, 500)))


def sized(content: bytes, random: Random) -> bytes:
    """With another width and height in its header, often huge ones."""
    width, height = (int(random.choice([0, 1, 7, 5_000, 16_383, 65_535, 2**31 - 1])) for _ in range(2))
    changed = bytearray(content)
    if content.startswith(b"\x89PNG"):
        changed[16:24] = struct.pack(">II", width, height)
        changed[29:33] = struct.pack(">I", zlib.crc32(bytes(changed[12:29])))
    elif content.startswith(b"\xff\xd8") and (place := _frame_header(content)):
        changed[place + 5 : place + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif content[12:16] == b"VP8X":
        changed[24:30] = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
    elif content[12:16] == b"VP8 ":
        changed[26:30] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    elif content[12:16] == b"VP8L":
        changed[21:25] = struct.pack("<I", (width & 0x3FFF) | (height & 0x3FFF) << 14)
    elif content.startswith(b"GIF"):
        changed[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif content.startswith(b"BM"):
        changed[18:26] = struct.pack("<II", width, height)
    return bytes(changed)


def _frame_header(jpeg: bytes) -> int:
    """Where a JPEG's baseline or progressive frame header is; 0: nowhere."""
    return max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"), 0)


def framed(content: bytes, random: Random) -> bytes:
    """A PNG or WebP with a chunk of frames put in, of a size of its own; another JPEG's header inside a JPEG."""
    width, height = int(random.choice([1, 40, 9_000, 2**31 - 1])), int(random.choice([1, 40, 9_000, 2**31 - 1]))
    if content.startswith(b"\x89PNG"):
        chunks = png_chunk(b"acTL", struct.pack(">II", int(random.integers(0, 9)), 0))
        chunks += png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 1, 0, 0))
        return content[:33] + chunks + content[33:]
    if content[8:12] == b"WEBP":
        size = struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]
        chunk = b"VP8X" + struct.pack("<I", 10) + bytes([2, 0, 0, 0]) + size
        return _riff(content[:12] + chunk + content[12:])
    if content.startswith(b"\xff\xd8") and (place := _frame_header(content)):
        header = content[place : place + 19]
        second = header[:5] + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF) + header[9:]
        return content[:place] + second + content[place:]
    return content


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in a file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _riff(content: bytes) -> bytes:
    """With the length that it has."""
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    flipped,
    truncated,
    overwritten,
    shuffled,
    padded,
    sized,
    framed,
)


def spliced(files: list[bytes], random: Random) -> bytes:
    """The head of one file on the body of another."""
    first, second = (files[int(index)] for index in random.integers(0, len(files), 2))
    cut = int(random.integers(2, 48))
    return first[:cut] + second[cut:]


def damaged(seed: int) -> Iterator[bytes]:
    """Files without end: one kind of damage after the other, now and then two, and some bytes that were no file."""
    random = np.random.default_rng(seed)
    files = whole_files(random)
    while True:
        for change in CHANGES:
            content = change(files[int(random.integers(0, len(files)))], random)
            if content and random.random() < 0.3:
                content = CHANGES[int(random.integers(0, len(CHANGES)))](content, random)
            yield content
        yield spliced(files, random)
        yield random.choice([b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"]) + random.bytes(
            int(random.integers(0, 200))
        )
