"""Puts the model's version folder on sys.path, as Triton's Python backend does."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "model_repository" / "yolo" / "1"))
