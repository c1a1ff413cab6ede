"""Programs that a command of this repository starts, and that end with it when it is told to stop.

Ctrl-C reaches every process of a terminal's foreground, SIGTERM only the one that it is sent to: here both reach the
programs, each with all that it started in its process group, as an interrupt, so that tests stop their servers. What a
program leaves behind all the same, because it was killed or in a process group of its own, is ended at the end.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

PR_SET_CHILD_SUBREAPER = 36  # of prctl(2)
GRACE = 10.0  # seconds from SIGTERM to SIGKILL, for what was left behind


class Programs:
    """The programs that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def call(self, command: Sequence[str], folder: Path, variables: Mapping[str, str], output: IO[str] | None) -> int:
        """Run a program to its end; its exit code. None is started after the command was told to stop."""
        with self._lock:
            if self._stopped:
                return 128 + signal.SIGINT
            process = subprocess.Popen(
                command, cwd=folder, env=variables, stdout=output, stderr=output, process_group=0
            )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.remove(process)

    @contextmanager
    def ended_with_us(self) -> Iterator[None]:
        """While this lasts, SIGINT and SIGTERM end the programs, and then the command; nothing is left behind."""
        adopt_orphans()
        former = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            end_children()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # In a thread: the lock may be held by the very code that the signal interrupted.
        threading.Thread(target=self._interrupt).start()

    def _interrupt(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)


def adopt_orphans() -> None:
    """Become the parent of whatever a program leaves behind, so that it can be found (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """End all children of this process, and theirs, which become its own as soon as their parents have ended."""
    told: set[int] = set()
    killed_from = time.monotonic() + GRACE
    while found := children():
        for pid, name in found.items():
            if pid not in told:
                print(f"ended, for it was left behind: process {pid}, {name}", file=sys.stderr, flush=True)
            if pid not in told or time.monotonic() > killed_from:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if pid not in told else signal.SIGKILL)
            told.add(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)


def children() -> dict[int, str]:
    """The children of this process, with their command lines; those that have ended are reaped."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name before the last bracket may hold anything.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) != os.getpid():
                continue
            if state == "Z":
                with suppress(ChildProcessError):
                    os.waitpid(int(entry.name), os.WNOHANG)
                continue
            found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found
