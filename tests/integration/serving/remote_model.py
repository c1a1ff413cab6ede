"""Runs in the training environment: what Ultralytics finds with its own remote model.

    .venv/trainer/bin/python remote_model.py QUESTIONS.json

QUESTIONS is a list of {"url", "names", "pictures"}: `url` of a model or the path of an ONNX file, `names` a YAML file
with class names or "", `pictures` the paths of what is asked in one call. Prints one JSON list with an answer for each:
{"names", "rows"}, and in `rows` for each picture its [x1, y1, x2, y2, confidence, class].
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docker" / "trainer"))

from trainer import runtime


def main(file: Path) -> None:
    """Asks them in turn."""
    runtime.start(Path.cwd())
    from ultralytics import YOLO

    answers = []
    for question in json.loads(file.read_text(encoding="utf-8")):
        # rect=False: a local model would otherwise get the smallest rectangle, and a remote one gets a square.
        options: dict[str, Any] = {"imgsz": 160, "batch": len(question["pictures"]), "rect": False, "verbose": False}
        if question["names"]:
            options["data"] = question["names"]
        results = YOLO(question["url"], task="detect")(question["pictures"], **options)
        answers.append({"names": results[0].names, "rows": [result.boxes.data.tolist() for result in results]})
    print(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
