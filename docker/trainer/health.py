#!/usr/bin/env python3
"""Whether this image can do its work: every pinned package is there, the command answers, a network computes.

Needs neither network nor volume. Prints what it found; ends with 1 and one line for each thing that is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The image's working directory has the package `trainer`.
sys.path.insert(0, str(Path.cwd()))
PINS = Path(__file__).with_name("requirements.txt")
MODULES = (
    "cv2",
    "fsspec",
    "mlflow",
    "onnx",
    "onnxruntime",
    "onnxslim",
    "openvino",
    "pandas",
    "s3fs",
    "sklearn",
    "yaml",
)


def pins(path: Path = PINS) -> Iterator[str]:
    """What is not installed as the file says."""
    for name, wanted in re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE):
        try:
            # torch's builds have a local version: 2.13.0+cpu.
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "not there"
        if found != wanted:
            yield f"{name} is {found}, and {path.name} says {wanted}"


def command() -> Iterator[str]:
    """Whether `python -m trainer` answers."""
    done = subprocess.run([sys.executable, "-m", "trainer", "--help"], capture_output=True, text=True)
    if done.returncode or not all(name in done.stdout for name in ("prepare", "train", "evaluate")):
        yield f"`python -m trainer --help` ended with {done.returncode}: {(done.stderr or done.stdout)[-500:]}"


def network(folder: Path) -> Iterator[str]:
    """Whether a detector computes, as the trainer starts it, and on what."""
    from trainer import runtime

    runtime.start(folder)
    import torch
    from ultralytics import YOLO
    from ultralytics import __version__ as ultralytics

    for name in MODULES:
        import_module(name)
    model: Any = YOLO("yolo11n.yaml").model
    shape = tuple(model.eval()(torch.zeros(1, 3, 64, 64))[0].shape)
    sys.stdout.write(f"torch {torch.__version__}, CUDA {torch.version.cuda}, ultralytics {ultralytics}: {shape}\n")
    if shape != (1, 84, 84):
        yield f"yolo11n on an image of 64 pixels gave {shape} in place of (1, 84, 84)"
    if os.environ.get("YOLO_IMAGE_VARIANT") == "gpu" and torch.version.cuda is None:
        yield f"this is the variant gpu, and torch {torch.__version__} has no CUDA: build it with TORCH_BACKEND=index"


def main() -> int:
    """Check everything, even after a first failure."""
    with tempfile.TemporaryDirectory() as folder:
        wrong = [*pins(), *command(), *network(Path(folder))]
    for line in wrong:
        sys.stderr.write(f"unhealthy: {line}\n")
    sys.stdout.write(f"user {os.getuid()}:{os.getgid()}, {'not healthy' if wrong else 'healthy'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
