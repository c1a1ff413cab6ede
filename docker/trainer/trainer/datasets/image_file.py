"""What an image file is, read without decoding its pixels where its own structure proves that it is whole.

A JPEG is whole where its end marker follows its last scan, a PNG where its chunks have their checksums and lead to the
end. (Ultralytics' scan looks at less, and decoding 20,000 photos takes minutes.) Other formats are decoded.
"""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

LEAST_SIDE = 10  # pixels; Ultralytics drops smaller images without a word
ORIENTATION = 0x0112  # EXIF's tag
TURNED = frozenset({5, 6, 7, 8})  # orientations that swap width and height
END = b"\xff\xd9"  # of a JPEG
MOST_PIXELS = 200_000_000
WIDE = frozenset({"I", "F"})  # Pillow's modes of 32 bits
OTHER_PIXELS = "whose pixels are not whole numbers of 8 or 16 bits without a sign"

READ = ("JPEG", "PNG", "WebP", "BMP", "TIFF")
# How files begin, in the order in which they are tried.
STARTS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"RIFF....WEBP", "WebP"),
        (rb"BM", "BMP"),
        (rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "TIFF"),
        (rb"GIF8", "GIF"),
        (rb"....ftyp(avif|avis)", "AVIF"),
        (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIC"),
        (rb"....ftyp|\x1aE\xdf\xa3", "a video"),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
        (rb"8BPS", "a Photoshop file"),
        (rb"%PDF", "PDF"),
        (rb"\s*(<!doctype html|<html|<head|<body)", "HTML"),
        (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", "SVG"),
        (rb"\s*<\?xml", "XML"),
        (rb"version https://git-lfs", "a pointer of Git LFS, whose file was not fetched"),
        (rb"PK\x03\x04", "a zip archive"),
    )
)
# The next marker in a JPEG's compressed data, in which FF is followed by 00, and restarts are FFD0 to FFD7.
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
SIZES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive; the others are rare, and decoded


class BadImage(Exception):
    """The file cannot be trained on: the kind of problem, and what it is in words."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A sound image file.

    Attributes:
        size: width and height in pixels, upright.
        kept: bytes up to its end; what follows is no part of the picture. None: all of them are.
    """

    size: tuple[int, int]
    kept: int | None = None


def inspect(content: bytes, name: str) -> ImageFile:
    """Look at the content of an image file called ``name``.

    Raises:
        BadImage: it is something else, is damaged, or is too small.
    """
    kind = real_format(content)
    if kind == "JPEG":
        found = _jpeg(content) or _whole_jpeg(content, name)
    elif kind == "PNG":
        found = _png(content)
    else:
        found = ImageFile(_decoded(content, name, kind))
    if min(found.size) < LEAST_SIDE:
        raise BadImage(f"images of less than {LEAST_SIDE} pixels", f"{found.size[0]}×{found.size[1]}")
    return found


def real_format(content: bytes) -> str:
    """The format by the file's first bytes, whatever its name.

    Raises:
        BadImage: it is empty, or not one that is read.
    """
    if not content:
        raise BadImage("zero-byte images")
    kind = next((kind for start, kind in STARTS if start.match(content[:512])), "not an image")
    if kind not in READ:
        raise BadImage("unreadable images", kind if kind == "not an image" else f"not an image that is read but {kind}")
    return kind


def trimmed(content: bytes, kept: int | None) -> bytes:
    """An image's content without what follows its end, and with the end marker of a JPEG that lacks it.

    Training would otherwise rewrite such a file in the copy that other trainings read.
    """
    if kept is None:
        return content
    return content[:kept] if content[kept - 2 : kept] == END else content[:kept] + END


def _jpeg(content: bytes) -> ImageFile | None:
    """Of a JPEG whose segments lead to its end marker; None: they do not, and decoding has to tell."""
    place, size, exif = 2, None, b""
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            return None
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in SIZES and content[place + 4] == 8:  # bits a sample
            height, width = (int.from_bytes(content[place + at : place + at + 2], "big") for at in (5, 7))
            size = (width, height)
        elif marker == 0xE1 and content[place + 4 : place + 10] == b"Exif\0\0":
            exif = exif or content[place + 4 : place + 2 + length]
        elif marker == 0xDA:
            end = _end_of_scans(content, place + 2 + length)
            if size is None or end is None or 0 in size:
                return None
            return ImageFile(_upright(size, exif), None if end == len(content) else end)
        place += 2 + length
    return None


def _end_of_scans(content: bytes, place: int) -> int | None:
    """Where the picture ends, behind its end marker; ``place`` is in its first scan."""
    if content.endswith(END):
        return len(content)  # whatever it is that ends so: training leaves such a file alone
    while found := MARKER.search(content, place):
        marker = found[1][0]
        if marker == END[1]:
            return found.end()
        # A segment between scans: tables, or the header of the next scan.
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    return None


def _whole_jpeg(content: bytes, name: str) -> ImageFile:
    """Of a JPEG without an end marker, or of a rare kind: whole if Pillow decodes it, as Ultralytics has it."""
    return ImageFile(_decoded(content, name, "JPEG"), len(content))


def _png(content: bytes) -> ImageFile:
    place, size, exif = 8, None, b""
    while place + 12 <= len(content):
        length, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        data = content[place + 8 : place + 8 + length]
        if len(data) < length:
            break
        checksum = content[place + 8 + length : place + 12 + length]
        if zlib.crc32(data, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
            raise BadImage("unreadable images", f"a PNG with a damaged part ({kind.decode('latin-1')})")
        if kind == b"IHDR":
            size = (int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big"))
        elif kind == b"eXIf":
            exif = data
        elif kind == b"IEND" and size:
            return ImageFile(_upright(size, exif))
        place += 12 + length
    raise BadImage("unreadable images", "a PNG that ends too early")


def _upright(size: tuple[int, int], exif: bytes) -> tuple[int, int]:
    """Size of an image after it was turned as its EXIF data says; damaged data turns nothing."""
    if not exif:
        return size
    found = Image.Exif()
    try:
        found.load(exif)
        turned = found.get(ORIENTATION) in TURNED
    except Exception:  # Pillow raises whatever a damaged structure makes it: SyntaxError, struct.error, KeyError…
        turned = False
    return size[::-1] if turned else size


def _decoded(content: bytes, name: str, kind: str) -> tuple[int, int]:
    """Width and height, upright, of an image that Pillow decodes to its last byte and that training can decode."""
    from trainer.pictures import TIFF, decode_rgb

    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width}×{image.height} pixels, more than {MOST_PIXELS / 1e6:.0f} million")
            image.load()
            wide = image.mode in WIDE
    except (UnidentifiedImageError, ImportError) as error:  # Ultralytics' Image.open tries a decoder of phones' photos
        other = f", or {OTHER_PIXELS}" if kind == "TIFF" else ""
        raise BadImage("unreadable images", f"a {kind} that is damaged{other}") from error
    except Exception as error:  # whatever its decoders raise: OSError, SyntaxError, ValueError, struct.error…
        raise BadImage("unreadable images", " ".join(str(error).split())[:200]) from error
    pixels = decode_rgb(content, tiff=name.lower().endswith(TIFF))
    if pixels is None:
        cause = f"a {kind} {OTHER_PIXELS}" if wide else "OpenCV, with which training reads, cannot decode it"
        raise BadImage("unreadable images", cause)
    return pixels.shape[1], pixels.shape[0]
