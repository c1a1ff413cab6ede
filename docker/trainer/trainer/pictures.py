"""Decodes image files: the one way in which checks, training, evaluation, quantization and verification see them.

With OpenCV, as Ultralytics' ``imread`` (ultralytics/utils/patches.py) decodes for training: upright by EXIF, 16 bits to
their high byte, the first page of a TIFF, transparency dropped. Pillow, which draws and checks, would clip 16 bits to
white. (Ultralytics' own function cannot be imported without torch, which `prepare` does not wait for.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

TIFF = (".tif", ".tiff")


def read_rgb(path: Path) -> np.ndarray:
    """An image file as RGB (h, w, 3) of bytes.

    Raises:
        ValueError: OpenCV cannot decode it.
        OSError: it cannot be read.
    """
    image = decode_rgb(path.read_bytes(), tiff=path.suffix.lower() in TIFF)
    if image is None:
        raise ValueError(f"{path} is not an image that OpenCV decodes.")
    return image


def decode_rgb(content: bytes, *, tiff: bool) -> np.ndarray | None:
    """The content of an image file as RGB (h, w, 3) of bytes, or None; ``tiff``: by its name, as Ultralytics goes."""
    import cv2

    data = np.frombuffer(content, np.uint8)
    image = None
    try:
        if tiff:
            done, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)
            if done and pages[0].ndim == 3:
                image = pages[0][..., :3]
        if image is None:
            image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    if image is None:
        return None
    if image.dtype == np.uint16:
        image = np.right_shift(image.astype(np.uint16), 8).astype(np.uint8)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return None
    return np.ascontiguousarray(image[..., ::-1])
