"""Runs in the trainer's environment: what its copies make of pictures, boxes and raw outputs.

    .venv/trainer/bin/python in_trainer.py IN.npz OUT.npz     (PYTHONPATH=docker/trainer)

IN: `picture_<name>` with `full_<name>` (height, width), `first`, `second` (boxes), `raw_<name>`. OUT: `pixels_<name>`,
`place_<name>` (scale, left, top), `iou`, `rows_<name>_<image>`, and `middle_<name>_<size>` for each of `middles`: the
bytes that Ultralytics gives a classifier of that size.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from trainer import runtime


def main(source: Path, target: Path) -> None:
    """Answers everything."""
    runtime.start(target.parent)
    from trainer.agreement import box_iou
    from trainer.detection import letterbox, suppress
    from ultralytics.data.augment import classify_transforms

    found: dict[str, np.ndarray] = {}
    with np.load(source) as arrays:
        for key in arrays.files:
            kind, _, name = key.partition("_")
            if kind == "picture":
                pixels, *place = letterbox(arrays[key], *arrays[f"full_{name}"].tolist())
                found |= {f"pixels_{name}": pixels, f"place_{name}": np.array(place)}
                for size in arrays["middles"].tolist():
                    middle = classify_transforms(size)(Image.fromarray(arrays[key])) * 255
                    found[f"middle_{name}_{size}"] = middle.round().byte().numpy()
            elif kind == "raw":
                found |= {f"rows_{name}_{index}": rows for index, rows in enumerate(suppress(arrays[key]))}
        found["iou"] = box_iou(arrays["first"], arrays["second"])
    np.savez(target, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
