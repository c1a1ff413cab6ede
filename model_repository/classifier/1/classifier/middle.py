"""From a picture to the tensor, as Ultralytics validates and predicts: scaled by the shorter side, the middle cut out.

Pillow's bilinear filter with antialiasing, which is what torchvision's `Resize` of a picture is.
"""

import cv2
import numpy as np
from encoded_images.decode import Pixels
from PIL import Image


def middle(picture: Pixels, size: int) -> Pixels:
    """The square in the middle of an RGB picture (height, width, 3), scaled to (3, size, size).

    Only the square is computed: the whole of a picture that is one pixel high would be gigabytes.
    """
    height, width = picture.shape[:2]
    short = min(height, width)
    scaled = [size if side == short else size * side // short for side in (height, width)]
    top, left = (round((side - size) / 2) for side in scaled)
    down, across = height / scaled[0], width / scaled[1]
    box = (left * across, top * down, min((left + size) * across, width), min((top + size) * down, height))
    square = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, box))
    pixels = np.empty((3, size, size), np.uint8)
    cv2.split(square, list(pixels))
    return pixels
