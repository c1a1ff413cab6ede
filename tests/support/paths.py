"""Where things are in this checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"
TRITON_VENV = ROOT / ".venv" / "triton"
# Programs that tests run with the trainer's packages. Their folder is their own: Python looks first beside a program
# for what it imports, and tests.support has an mlflow.py.
TRAINING = Path(__file__).parent / "training"
