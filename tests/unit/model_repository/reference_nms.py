"""Runs in the training environment: what Ultralytics' non_max_suppression makes of raw outputs.

    .venv/trainer/bin/python reference_nms.py IN.npz OUT.npz

IN holds arrays `output_<case>` and `thresholds_<case>` (confidence, IoU); OUT gets `rows_<case>_<image>`.
"""

import os
import sys

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}

import numpy as np
import torch
from ultralytics.utils.nms import non_max_suppression


def main(source: str, target: str) -> None:
    """Runs every case."""
    results: dict[str, np.ndarray] = {}
    with np.load(source) as arrays:
        for key in arrays.files:
            if not key.startswith("output_"):
                continue
            case = key.removeprefix("output_")
            confidence, iou = arrays[f"thresholds_{case}"].tolist()
            rows = non_max_suppression(torch.from_numpy(arrays[key]), confidence, iou, max_det=300, max_time_img=100)
            results |= {f"rows_{case}_{index}": each.numpy() for index, each in enumerate(rows)}
    np.savez(target, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
