"""Pictures with boxes, for people."""

from __future__ import annotations

import numpy as np
from PIL import Image

from trainer.datasets.model import Sample
from trainer.drawing import draw_boxes, load_image, scale_to_tile
from trainer.networks import Network, to_batch
from trainer.tasks.detect.labels import parse_labels


def draw_sample(sample: Sample, names: list[str]) -> Image.Image:
    """An image with the boxes of its labels."""
    image = load_image(sample.image)
    text = sample.label.read_text(encoding="utf-8") if sample.label else ""
    boxes = to_pixels(parse_labels(text, len(names)).boxes, image.size)
    return draw_boxes(image, boxes, [names[int(row[0])] for row in boxes], scale_to_tile(image))


def to_pixels(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (n, 5) class cx cy w h in 0–1 to class x1 y1 x2 y2 in pixels of an image of ``size`` (width, height)."""
    scale = np.array([*size, *size], dtype=np.float64)
    center, half = boxes[:, 1:3], boxes[:, 3:5] / 2
    return np.concatenate([boxes[:, :1], np.concatenate([center - half, center + half], 1) * scale], 1)


def draw_answer(network: Network, sample: Sample, names: list[str], image_size: int) -> Image.Image:
    """A test image with what the ONNX finds at the server's threshold."""
    from trainer.tasks.detect.detection import read_letterboxed, suppress

    picture = read_letterboxed(sample.image, image_size, image_size)
    rows = suppress(network.raw(to_batch([picture])))[0]
    image = Image.fromarray(picture)
    texts = [f"{names[int(row[5])]} {row[4]:.2f}" for row in rows]
    return draw_boxes(image, rows[:, [5, 0, 1, 2, 3]], texts, scale_to_tile(image))
