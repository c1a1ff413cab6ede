"""How an image gets to the size of the network: as Ultralytics validates classifiers (ultralytics/data/augment.py).

The shortest side is scaled to the size, bilinear with antialiasing as Pillow's, then the middle is cut out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trainer.pictures import read_rgb


def fit(image: np.ndarray, side: int) -> np.ndarray:
    """An RGB image (h, w, 3) of bytes as (side, side, 3)."""
    height, width = image.shape[:2]
    shortest = min(height, width)
    # Cut off, not rounded, as torchvision's Resize.
    across, down = (side if length == shortest else int(side * length / shortest) for length in (width, height))
    resized = image
    if (across, down) != (width, height):
        resized = np.asarray(Image.fromarray(image).resize((across, down), Image.Resampling.BILINEAR))
    left, top = (round((length - side) / 2) for length in (across, down))
    return resized[top : top + side, left : left + side]


def read_fitted(path: Path, side: int) -> np.ndarray:
    """An image file as (side, side, 3) of bytes."""
    return fit(read_rgb(path), side)
