"""Which shapes of images a version will be asked for: those that the training's own pictures are letterboxed to.

The server compiles the model for the most frequent of them before it is ready (model_repository/yolo's
onnx_metadata.py). The note is in the ONNX file, so that the sha256 in Git pins it, too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from trainer.datasets.image_file import inspect
from trainer.datasets.model import Sample
from trainer.quantization import calibration_samples

NOTE = "shapes"
MOST = 4
STRIDE = 32


def add_shapes(file: Path, samples: list[Sample], image_size: int) -> list[tuple[int, int]]:
    """Note the most frequent shapes, (height, width), of some pictures in an ONNX, and return them.

    Args:
        file: the ONNX.
        samples: of the training split; those that calibrate INT8 are looked at.
        image_size: of the training, in pixels.
    """
    import onnx

    sizes = (
        inspect(each.image.read_bytes(), each.image.name).size for each in calibration_samples(samples, image_size)
    )
    shapes = most_frequent(sizes, image_size)
    model = onnx.load(str(file))
    entry = model.metadata_props.add()
    entry.key, entry.value = NOTE, json.dumps(shapes)
    scratch = file.with_suffix(".part")
    onnx.save(model, str(scratch))
    scratch.replace(file)
    return shapes


def most_frequent(sizes: Iterable[tuple[int, int]], image_size: int) -> list[tuple[int, int]]:
    """The most frequent letterboxed shapes, (height, width), of pictures of some (width, height)."""
    counted = Counter(letterboxed(height, width, image_size) for width, height in sizes)
    return [shape for shape, _ in counted.most_common(MOST)]


def letterboxed(height: int, width: int, image_size: int) -> tuple[int, int]:
    """Height and width of a picture scaled to fit and padded to multiples of the stride, as `LetterBox(auto=True)`."""
    scale = min(image_size / height, image_size / width)
    up, across = (-(-max(round(side * scale), 1) // STRIDE) * STRIDE for side in (height, width))
    return up, across
