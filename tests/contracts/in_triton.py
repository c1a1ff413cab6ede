"""Runs in Triton's environment: what the model of picture files makes of pictures.

    .venv/triton/bin/python in_triton.py IN.npz OUT.npz     (PYTHONPATH: shared, yolo/1 and classifier/1)

IN: as in_trainer.py. OUT: `pixels_<name>` (height, width, 3), `back_<name>`: the rows
`corners` in the picture's pixels. `shapes` (n, 2), for each row of `sizes` (n, 2): the letterbox of a detector of 640.
`middle_<name>_<size>` (3, size, size) for each of `middles`: what a classifier of that size takes of a picture.
"""

from __future__ import annotations

import sys

import numpy as np
from classifier.middle import middle
from detector.letterbox import Target, letterbox


def main(source: str, target: str) -> None:
    """Answers everything."""
    found: dict[str, np.ndarray] = {}
    any_shape = Target(640, 32, None, None, 0)
    with np.load(source) as arrays:
        for key in arrays.files:
            kind, _, name = key.partition("_")
            if kind == "picture":
                height, width = arrays[f"full_{name}"].tolist()
                boxed = letterbox(arrays[key], Target(max(height, width), 32, height, width, 0))
                found[f"pixels_{name}"] = boxed.pixels.transpose(1, 2, 0)
                found |= {f"middle_{name}_{size}": middle(arrays[key], size) for size in arrays["middles"].tolist()}
                found[f"back_{name}"] = boxed.to_original(arrays["corners"])
        found["shapes"] = np.array([any_shape.shape(*size) for size in arrays["sizes"].tolist()])
    np.savez(target, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
