"""From a picture to the tensor, as Ultralytics validates and predicts: scaled by the shorter side, the middle cut out.

Pillow's bilinear filter with antialiasing, which is what torchvision's `Resize` of a picture is.
"""

import cv2
import numpy as np
from encoded_images.decode import Pixels
from PIL import Image

BILINEAR = Image.Resampling.BILINEAR


# How many times as long as wide a picture may be, to be scaled whole.
LONG = 16


def middle(picture: Pixels, size: int) -> Pixels:
    """The square in the middle of an RGB picture (height, width, 3), scaled to (3, size, size)."""
    height, width = picture.shape[:2]
    short = min(height, width)
    scaled = [size if side == short else size * side // short for side in (height, width)]
    top, left = (round((side - size) / 2) for side in scaled)
    whole = Image.fromarray(picture)
    if max(scaled) <= LONG * size:
        square = np.asarray(whole.resize(scaled[::-1], BILINEAR))[top : top + size, left : left + size]
    else:
        # Nothing but the square: the whole of a picture that is one pixel high would be gigabytes. Pillow rounds its
        # place to FP32, so that bytes differ by 1 from the same square of the whole.
        down, across = height / scaled[0], width / scaled[1]
        box = (left * across, top * down, min((left + size) * across, width), min((top + size) * down, height))
        square = np.asarray(whole.resize((size, size), BILINEAR, box))
    pixels = np.empty((3, size, size), np.uint8)
    cv2.split(square, list(pixels))
    return pixels
