"""Runs in the training environment: what Ultralytics finds with its own remote model.

    .venv/trainer/bin/python remote_model.py URL NAMES PICTURE...

prints one JSON object: `names`, and for each picture its rows [x1, y1, x2, y2, confidence, class]. URL may be the path
of an ONNX file as well. NAMES is a YAML file with class names, or "".
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docker" / "trainer"))

from trainer import runtime


def main(url: str, names: str, *pictures: str) -> None:
    """Asks for all pictures in one call."""
    runtime.start(Path.cwd())
    from ultralytics import YOLO

    # rect=False: a local model would otherwise get the smallest rectangle, and a remote one gets a square.
    options: dict[str, Any] = {"imgsz": 160, "batch": len(pictures), "rect": False, "verbose": False}
    if names:
        options["data"] = names
    results = YOLO(url, task="detect")(list(pictures), **options)
    print(json.dumps({"names": results[0].names, "rows": [result.boxes.data.tolist() for result in results]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
