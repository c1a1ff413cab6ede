"""Runs in the training environment: what Ultralytics' own remote model finds.

    .venv/trainer/bin/python remote_model.py URL NAMES PICTURE...

prints one JSON object: `names`, and for each picture its rows [x1, y1, x2, y2, confidence, class]. URL may be the path
of an ONNX file as well. NAMES is a YAML file with class names, or "".
"""

import json
import os
import sys
from typing import Any

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}

from ultralytics import YOLO


def main(url: str, names: str, *pictures: str) -> None:
    """Asks for all pictures in one call."""
    options: dict[str, Any] = {"data": names} if names else {}
    model = YOLO(url, task="detect")
    results = model(list(pictures), imgsz=160, batch=len(pictures), verbose=False, save=False, **options)
    print(json.dumps({"names": results[0].names, "rows": [result.boxes.data.tolist() for result in results]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
