"""Freed memory is used again: counted by the pages that the system had to give, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"
# What one picture after the other takes: three arrays of 3.9 MB at a time, all freed before the next one. Smaller ones
# might find room that the imports left free, and from 4 MB on numpy asks for huge pages.
PICTURES = """
import importlib, resource, sys
import numpy as np
if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
    assert importlib.import_module(sys.argv[2]).keep_freed_memory()
def picture():
    arrays = [np.ones((1140, 1140, 3), np.uint8) for _ in range(3)]
for _ in range(5):
    picture()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    picture()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(*arguments: str) -> int:
    """How many pages 50 pictures cost."""
    command = [sys.executable, "-c", PICTURES, *arguments]
    # Else glibc moves its threshold by itself, and whether it then gives memory back depends on what lies above it.
    variables = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=variables)
    return int(done.stdout)


def test_pictures_cost_no_new_pages_once_memory_is_kept() -> None:
    assert pages(str(REPOSITORY / "shared"), "model_server.memory") < 200 < 10_000 < pages()
