"""Brings a picture of any size into the square that a YOLO takes, and its boxes back.

The same scale, rounding and padding as Ultralytics' `LetterBox`, and the same interpolation as OpenCV's INTER_LINEAR
(no antialiasing), because the model was trained and evaluated on pictures made that way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

PADDING = 114
# The weight 1 in fixed-point arithmetic.
ONE = np.int32(2048)


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in its letterbox.

    Attributes:
        width, height: of the original picture, pixels.
        scale_x, scale_y: letterboxed pixels for one original pixel.
        left, top: padding, letterboxed pixels.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_original(self, rows: Floats) -> Floats:
        """Rows (n, 6) in letterboxed pixels to rows in pixels of the original picture, clipped to it."""
        moved = rows.copy()
        moved[:, [0, 2]] = np.clip((rows[:, [0, 2]] - self.left) / self.scale_x, 0, self.width)
        moved[:, [1, 3]] = np.clip((rows[:, [1, 3]] - self.top) / self.scale_y, 0, self.height)
        return moved


def letterbox(image: Pixels, size: int | tuple[int, int]) -> tuple[Floats, Placement]:
    """Scales a picture to fit, centres it and pads with grey.

    Args:
        image: RGB, (height, width, 3).
        size: side of the square, or (height, width), pixels.

    Returns:
        The tensor, (3, height, width), 0-1, and where the picture lies in it.

    Raises:
        ValueError: the picture is not uint8 RGB, or has no pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            f"the picture is {image.dtype} with shape {list(image.shape)}, but must be uint8 RGB with shape "
            "[height, width, 3]: convert it with PIL's Image.convert('RGB')"
        )
    full_height, full_width = (size, size) if isinstance(size, int) else size
    height, width = image.shape[:2]
    scale = min(full_height / height, full_width / width)
    new_width, new_height = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = round((full_width - new_width) / 2 - 0.1), round((full_height - new_height) / 2 - 0.1)
    canvas = np.full((full_height, full_width, 3), PADDING, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resize(image, new_width, new_height)
    tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
    return tensor, Placement(width, height, new_width / width, new_height / height, left, top)


def resize(image: Pixels, width: int, height: int) -> Pixels:
    """Bilinear resize of (height, width, 3) between pixel centres, in OpenCV's fixed-point arithmetic.

    OpenCV's INTER_LINEAR keeps weights as multiples of 1/2048 and drops the lowest bits on the way: computing in floats
    instead would make one pixel in eight brighter by one level, systematically.
    """
    if image.shape[:2] == (height, width):
        return image
    above, below, down = _taps(image.shape[0], height)
    left, right, across = _taps(image.shape[1], width)
    total = np.zeros((height, width, 3), np.int32)
    for rows, weights in ((above, ONE - down), (below, down)):
        lines = image[rows]
        blended = lines[:, left] * (ONE - across)[None, :, None] + lines[:, right] * across[None, :, None]
        total += (weights[:, None, None] * (blended >> 4)) >> 16
    return ((total + 2) >> 2).astype(np.uint8)


def _taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """For each new pixel along one axis: its two neighbours in the old one and the weight of the second, in 1/2048."""
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(centres).astype(np.intp)
    weight = np.rint((centres - first) * ONE).astype(np.int32)
    return np.clip(first, 0, old - 1), np.clip(first + 1, 0, old - 1), weight
