"""Makes a dataset of photos of 640 × 480 pixels, each with five boxes; no two files are alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

SIZE = (640, 480)
CROPS = 200  # different pictures; a comment in each file makes it another one
BOXES = 5
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def make(root: Path, count: int) -> None:
    """Write ``count`` JPEG files (some 90 kB each), their label files and data.yaml."""
    pictures = _pictures()
    rng = np.random.default_rng(0)
    ends = {split: round(count * sum(list(SHARES.values())[: number + 1])) for number, split in enumerate(SHARES)}
    number = 0
    for split, end in ends.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(number, end):  # noqa: B020 - continues where the last split ended
            picture = pictures[number % CROPS]
            comment = f"{number:08d}".encode()
            segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            (root / f"images/{split}/{number:06d}.jpg").write_bytes(picture[:2] + segment + picture[2:])
            rows = np.concatenate([rng.integers(0, 10, (BOXES, 1)), rng.uniform(0.2, 0.8, (BOXES, 4))], 1)
            text = "".join(f"{int(row[0])} {row[1]:.6f} {row[2]:.6f} {row[3]:.6f} {row[4]:.6f}\n" for row in rows)
            (root / f"labels/{split}/{number:06d}.txt").write_text(text)
        number = end
    data = {**{split: f"images/{split}" for split in SHARES}, "names": [f"class {number}" for number in range(10)]}
    (root / "data.yaml").write_text(yaml.safe_dump(data))


def _pictures() -> list[bytes]:
    from sklearn.datasets import load_sample_images

    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    rng = np.random.default_rng(1)
    found = []
    for number in range(CROPS):
        photo = photos[number % len(photos)]
        side = rng.uniform(0.6, 1.0)
        width, height = photo.width * side, photo.height * side
        left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
        content = io.BytesIO()
        photo.resize(SIZE, box=(left, top, left + width, top + height)).save(content, "JPEG", quality=90)
        found.append(content.getvalue())
    return found
