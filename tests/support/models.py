"""Model files for tests, made once a run whatever the number of workers."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import TRAINER_PYTHON, TRAINING


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this run: the first worker that asks for it makes it, the others wait and take it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, part = base / name, base / f"{name}.part"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # What a worker left that failed half way.
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder


def in_training_environment(script: Path, *arguments: str | Path, cwd: Path) -> None:
    """Runs a script with the trainer's packages; its output shows where it fails."""
    variables = os.environ | {"YOLO_CONFIG_DIR": str(cwd)}
    command = [str(TRAINER_PYTHON), str(script), *map(str, arguments)]
    done = subprocess.run(command, env=variables, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{script.name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def make_handmade(folder: Path) -> None:
    """toy.onnx and the others of training/handmade.py."""
    in_training_environment(TRAINING / "handmade.py", folder, cwd=folder)
