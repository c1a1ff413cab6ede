"""Runs in the training environment: quantizes an export as the training does, and notes that in it.

.venv/trainer/bin/python quantize_model.py FILE.onnx FILE.npz (with `images_160`, see make_models.py)
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docker" / "trainer"))

from trainer.datasets.model import Sample
from trainer.quantization import add_int8
from trainer.tasks import find

DETECT = find("detect")


def main(file: Path, arrays: Path) -> int:
    """Writes model.int8.zip beside the file."""
    with tempfile.TemporaryDirectory() as name, np.load(arrays) as found:
        samples = []
        for number, picture in enumerate(found["images_160"]):
            path = Path(name) / f"{number}.png"
            Image.fromarray(np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)).save(path)
            samples.append(Sample(path.name, path, None))
        return 0 if add_int8(file, samples, 160, DETECT.read, DETECT.in_floats) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
