"""Decodes a picture from bytes that anybody may have sent: looks at its header first, and refuses in time."""

import io

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from encoded_images.jpeg import end_of
from encoded_images.png import BrokenOff, still

Pixels = NDArray[np.uint8]

# The limit is ours and comes before decoding; Pillow's own would only warn.
Image.MAX_IMAGE_PIXELS = None
# The instances of the model and its thread pool are the parallelism.
cv2.setNumThreads(1)

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = 1  # its value for a picture that lies as it is to be seen
FORMATS = {"JPEG": (b"\xff\xd8\xff",), "PNG": (b"\x89PNG\r\n\x1a\n",), "WebP": (b"RIFF",)}


class PictureError(Exception):
    """This picture cannot be taken; the message says why."""


def decode(content: bytes, max_pixels: int) -> Pixels:
    """Decodes a JPEG, PNG or WebP.

    With OpenCV, as Ultralytics does, so that the pixels are the same: upright after EXIF, 16 bits to 8, grey and CMYK
    to RGB, transparency dropped, the first frame of an animation. What most JPEGs are is decoded by the same library,
    libjpeg-turbo, without OpenCV around it, in half of the time.

    Args:
        content: the file's bytes.
        max_pixels: more are refused, before memory is taken for them.

    Returns:
        RGB, (height, width, 3).

    Raises:
        PictureError: it is something else, is damaged, or is too large.
    """
    kind = _format(content)
    (width, height), orientation = _header(content, kind)
    if width * height > max_pixels:
        raise PictureError(
            f"is {width}x{height} pixels, {width * height / 1e6:.0f} million, but at most {max_pixels / 1e6:g} million "
            "are decoded: send it smaller"
        )
    try:
        picture = _whole(content, kind)
    except BrokenOff:
        raise PictureError(f"is a {kind} that ends too early (truncated after {len(content)} bytes)") from None
    if kind == "JPEG" and orientation == UPRIGHT:
        plain = _plain_jpeg(picture, (height, width))
        if plain is not None:
            return plain
    try:
        pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise PictureError(f"is a damaged {kind} ({' '.join(str(error).split())[:200]})") from error
    if pixels is None:
        raise PictureError(f"is a damaged {kind}")
    found: Pixels = pixels.astype(np.uint8, copy=False)
    # OpenCV 4.11, unlike the version that trains, leaves a WebP as it lies.
    return _turned(found, orientation) if kind == "WebP" else found


def _format(content: bytes) -> str:
    if not content:
        raise PictureError("is empty (zero bytes)")
    for kind, starts in FORMATS.items():
        if content.startswith(starts) and (kind != "WebP" or content[8:12] == b"WEBP"):
            return kind
    raise PictureError(f"is not a JPEG, PNG or WebP (it starts with {content[:8].hex(' ')})")


def _header(content: bytes, kind: str) -> tuple[tuple[int, int], int | None]:
    """Width and height without decoding, and EXIF's orientation; None: it cannot be read."""
    try:
        with Image.open(io.BytesIO(content), formats=(kind.upper(),)) as picture:
            return picture.size, _orientation(picture)
    except Exception as error:  # Pillow's readers raise many types on damaged headers
        raise PictureError(f"is a damaged {kind} ({' '.join(str(error).split())[:200]})") from error


def _orientation(picture: Image.Image) -> int | None:
    try:
        return picture.getexif().get(ORIENTATION, UPRIGHT) if "exif" in picture.info else UPRIGHT
    except Exception:  # damaged EXIF does not make the picture a damaged one
        return None


def _turned(pixels: Pixels, orientation: int | None) -> Pixels:
    """The picture upright: from 5 on it is mirrored at its diagonal, and each half of 1-4 and 5-8 flips it alike."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _plain_jpeg(content: bytes, shape: tuple[int, int]) -> Pixels | None:
    """A JPEG in colour and without any damage; None: it is something else, and OpenCV is to say what."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if (height, width) != shape or colours != "YCbCr":
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError:
        return None
    return pixels


def _whole(content: bytes, kind: str) -> bytes:
    """What OpenCV is to decode, if the file's own end is there; of a JPEG it would fill what is missing with grey.

    Raises:
        BrokenOff: it is not.
    """
    if kind == "PNG":
        return still(content)
    if kind == "JPEG":
        end = end_of(content)
        if end is not None:
            return content[:end]
        # Damaged, but to its very end: it is decoded as far as it goes.
        complete = content.endswith(b"\xff\xd9")
    else:
        complete = len(content) >= int.from_bytes(content[4:8], "little") + 8
    if not complete:
        raise BrokenOff
    return content
