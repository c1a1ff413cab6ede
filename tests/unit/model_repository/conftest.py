"""Puts the models' version folders on sys.path, as Triton's Python backend does with one of them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "model_repository" / model / "1") for model in ("yolo", "yolo_encoded")]
