"""The images that the DAG sends to the server after a rollout, and the boxes that it has to answer with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.datasets.model import Sample
from trainer.detection import CONFIDENCE, IOU, TorchDetector, has_margin, read_letterboxed, suppress, to_batch

IMAGES = 8
SEARCHED = 200  # images looked at, at most


def write_verification(
    detector: TorchDetector, samples: list[Sample], names: list[str], image_size: int, folder: Path
) -> int:
    """Write ``0.png`` … and ``expected.json``; return how many images there are (0: the model finds nothing clear).

    Only images on which the detections do not hang on a hair: the server computes in another engine, perhaps in
    bfloat16, and a box whose confidence is next to the threshold would come and go with nothing wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    for sample in samples[:SEARCHED]:
        picture = read_letterboxed(sample.image, image_size, image_size)
        raw = detector.raw(to_batch([picture]))
        rows = suppress(raw)[0]
        if not len(rows) or not has_margin(raw):
            continue
        file = f"{len(images)}.png"
        Image.fromarray(picture).save(folder / file)
        images.append({"file": file, "detections": [_rounded(row) for row in rows]})
        if len(images) == IMAGES:
            break
    expected = {"image_size": image_size, "confidence": CONFIDENCE, "iou": IOU, "class_names": names, "images": images}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(images)


def _rounded(row: np.ndarray) -> list[float | int]:
    return [*(round(float(value), 3) for value in row[:4]), round(float(row[4]), 5), int(row[5])]
