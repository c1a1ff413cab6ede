"""The folder in which a copy is made, and what killed pods left of theirs.

A folder says by its time that its pod is alive: nothing else is known of a pod on another node, and locks are local on
some network volumes.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".making-"
BEAT = 60.0  # seconds between two signs of life
STALE = 15 * 60.0  # seconds without one, after which the pod is taken for dead


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A new folder in ``folder``, removed in the end; before it is made, what killed pods left is removed."""
    scratch = folder / f"{PREFIX}{uuid.uuid4().hex}"
    scratch.mkdir()
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(scratch, done), daemon=True)
    beating.start()
    try:
        _remove_stale(folder, now=scratch.stat().st_mtime)
        yield scratch
    finally:
        done.set()
        beating.join()
        shutil.rmtree(scratch, ignore_errors=True)


def _beat(scratch: Path, done: threading.Event) -> None:
    while not done.wait(BEAT):
        with suppress(OSError):  # a volume that is out of reach for a moment; the work itself will tell
            os.utime(scratch)


def _remove_stale(folder: Path, now: float) -> None:
    """``now``: by the clock of the volume, which writes the times that are compared."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > STALE:
                shutil.rmtree(path, ignore_errors=True)
