"""Private folders for clones, and the removal of those that killed tasks left behind.

A folder holds credentials and is deleted when the delivery ends. A task that is killed cannot do that; so each folder
has a lock that dies with its owner, and the next delivery on the machine removes every folder whose lock is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lifecycle.gitops.errors import LocalFailure

_PREFIX = "lifecycle-gitops-"
_LOCK = "lock"


@contextlib.contextmanager
def private_folder(parent: Path | None = None) -> Iterator[Path]:
    """A fresh folder that only this user can enter, gone at the end.

    Raises LocalFailure where this machine cannot write there, also for what happens inside.
    """
    where = parent or Path(tempfile.gettempdir())
    try:
        where.mkdir(parents=True, exist_ok=True)
        _sweep(where)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
        try:
            lock = _take(folder)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        said = error.strerror or str(error)
        raise LocalFailure(
            f"This worker could not work in {where}: {said}. Free space there, or make it writable."
        ) from error


def _take(folder: Path) -> int:
    """An open file that holds the folder's lock. It gets its name only once it is locked: nobody can come between."""
    unnamed = folder / f"{_LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unnamed.rename(folder / _LOCK)
    return descriptor


def _sweep(where: Path) -> None:
    """Remove folders of this user whose owner is gone."""
    for folder in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.getuid() and _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    """Whether nobody holds the lock. A folder that never got one counts after an hour: it may just be in the making."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > 3600
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
