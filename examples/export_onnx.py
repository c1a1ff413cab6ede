#!/usr/bin/env python3
"""Export YOLO weights (.pt) to the ONNX that model_repository/yolo serves, and prove that it finds the same boxes.

    python examples/export_onnx.py runs/detect/train/weights/best.pt --output model.onnx --image-size 640 photos/*.jpg

The export is raw (no suppression in it) with a dynamic batch and size: input `images` FP32 [N, 3, H, W], RGB 0-1;
output [N, 4 + classes, anchors], or [N, 300, 6] from end-to-end architectures. The images are those that the ONNX is
compared with the PyTorch model on: each alone, in batches, and at a second size. Without any, the check uses noise.

Needs the training image's packages (docker/trainer/requirements.txt). The next step is register_onnx.py.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docker" / "trainer"))

from trainer import runtime
from trainer.errors import TrainerError
from trainer.networks import OnnxNetwork
from trainer.tasks.detect.agreement import prove_agreement
from trainer.tasks.detect.detection import TorchDetector
from trainer.tasks.detect.export import export_onnx

NOISE_IMAGES = 6


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="weights of a YOLO detector, .pt")
    parser.add_argument("images", type=Path, nargs="*", help="images to compare on; best are those of its val split")
    parser.add_argument("--output", type=Path, help="file to write; default: beside the weights, with .onnx")
    parser.add_argument("--image-size", type=int, default=640, help="side in pixels of its training (default: 640)")
    chosen = parser.parse_args(argv)
    for path in (chosen.weights, *chosen.images):
        if not path.is_file():
            parser.error(f"there is no file {path}")
    if chosen.image_size < 32 or chosen.image_size % 32:
        parser.error(f"--image-size is {chosen.image_size}; it must be a multiple of 32")
    return chosen


def noise_images(folder: Path, image_size: int) -> list[Path]:
    """Pictures of noise, all different, so that a mix-up between the images of a batch shows."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    files = []
    for number in range(NOISE_IMAGES):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        files.append(folder / f"{number}.png")
        coarse.resize((image_size, image_size), Image.Resampling.BICUBIC).save(files[-1])
    return files


def main(argv: list[str] | None = None) -> int:
    """Export and check; 0 when the ONNX agrees."""
    chosen = arguments(argv)
    output = chosen.output or chosen.weights.with_suffix(".onnx")
    with tempfile.TemporaryDirectory() as name:
        runtime.start(Path(name))
        file = export_onnx(chosen.weights, Path(name) / "model.onnx", chosen.image_size)
        images = chosen.images or noise_images(Path(name), chosen.image_size)
        try:
            agreement = prove_agreement(TorchDetector(chosen.weights), OnnxNetwork(file), images, chosen.image_size)
        except TrainerError as error:
            print(f"ERROR: {error}", file=sys.stderr)
            return error.exit_status
        content = file.read_bytes()
        output.write_bytes(content)
    print(f"wrote {output} ({len(content) / 1e6:.1f} MB), sha256 {hashlib.sha256(content).hexdigest()}")
    print(
        f"agrees with {chosen.weights} in {agreement.comparisons} comparisons on {agreement.images} images: "
        f"{agreement.detections} boxes, scores within {agreement.largest_score_difference:.6f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
