"""Programs that a command of this repository starts, and that end with it when it is told to stop.

Ctrl-C reaches every process of a terminal's foreground, SIGTERM only the one that it is sent to: here both reach the
programs, each with all that it started in its process group, as an interrupt, so that tests stop their servers. What
they leave behind all the same is ended by `end_what_is_left`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO
from uuid import uuid4

from tools import leftovers


class Programs:
    """The programs that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._mark = uuid4().hex

    def call(self, command: Sequence[str], folder: Path, variables: Mapping[str, str], output: IO[str] | None) -> int:
        """Run a program to its end; its exit code. None is started after the command was told to stop."""
        with self._lock:
            if self._stopped:
                return 128 + signal.SIGINT
            marked = {**variables, leftovers.VARIABLE: self._mark}
            process = subprocess.Popen(command, cwd=folder, env=marked, stdout=output, stderr=output, process_group=0)
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.remove(process)

    @contextmanager
    def ended_with_us(self) -> Iterator[None]:
        """While this lasts, SIGINT and SIGTERM end the programs; the command then ends by itself."""
        former = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def end_what_is_left(self) -> bool:
        """End and name what the programs left behind; whether they should not have: none was told to stop."""
        found = leftovers.end(self._mark, grace=0 if self._stopped else leftovers.GRACE)
        for process in found:
            print(f"ended, for it was left behind: process {process.pid}, {process.command[:200]}", file=sys.stderr)
        return bool(found) and not self._stopped

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # In a thread: the lock may be held by the very code that the signal interrupted.
        threading.Thread(target=self._interrupt).start()

    def _interrupt(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
