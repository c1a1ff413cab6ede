"""Puts the packages beside model.py on sys.path, as Triton's Python backend does."""

import sys
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parents[3] / "model_repository"
sys.path[:0] = [str(TEMPLATES / "shared"), str(TEMPLATES / "yolo" / "1"), str(TEMPLATES / "classifier" / "1")]
