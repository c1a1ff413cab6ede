"""Child processes: started in groups of their own, measured as a tree, and always ended."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil


class BenchmarkError(Exception):
    """The benchmark cannot go on; the message says what happened, to what, and what to do next."""


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Tree:
    """A process that was started here, and all that it started."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        conversation: bool = False,
    ) -> None:
        """Starts `command`; `environment` is added to this process's; with `conversation` its ends are pipes."""
        self.log = log
        self._stopped = False
        pipe = subprocess.PIPE if conversation else None
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                list(command),
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or errors,
                stderr=errors,
                env=os.environ | dict(environment or {}),
                cwd=folder,
                start_new_session=True,
                text=True,
            )

    @property
    def running(self) -> bool:
        """Whether the first process lives."""
        return self._process.poll() is None

    @property
    def pipes(self) -> tuple[IO[str], IO[str]]:
        """Its standard input and output, where it was started for a conversation."""
        assert self._process.stdin is not None and self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    def last_words(self, lines: int = 8) -> str:
        """The end of its log, for messages."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def cpu_seconds(self) -> float:
        """Processor time that all its processes have used, user and system."""
        total = 0.0
        for process in self._members():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory_mb(self) -> float:
        """Proportional set size of all its processes: memory that several share counts once."""
        total = 0
        for process in self._members():
            with suppress(ProcessLookupError, FileNotFoundError):  # ended since, or waiting for its parent to notice
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total / 1024

    def stop(self) -> None:
        """Asks the group to end, and after 15 s ends it; whatever is left of the group goes with it."""
        if self._stopped:
            return
        self._stopped = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()

    def _members(self) -> list[psutil.Process]:
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]
