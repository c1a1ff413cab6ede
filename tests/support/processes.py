"""Servers as processes of a group each, ports on loopback, and waiting until something holds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str, timeout: float = 2) -> bool:
    """Whether a GET gets a 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def until(
    what: str,
    check: Callable[[], Found | None],
    shown: Callable[[], object] = str,
    seconds: float = 180,
    pause: float = 0.05,
) -> Found:
    """The first true answer of a check; fails the test, with what `shown` returns, where none comes in time.

    A connection that fails (OSError, which URLError is) counts as an answer that is not true yet. `pause`: seconds
    between two checks; longer where one costs much beside what it waits for.
    """
    deadline = time.monotonic() + seconds
    while True:
        error: OSError | None = None
        try:
            if found := check():
                return found
        except OSError as caught:
            error = caught
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{error or ''}\n{shown()}"
        time.sleep(pause)


def start(
    command: Sequence[str], log: Path, variables: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Starts a process in a group of its own; what it writes is added to a log.

    Args:
        command: program and arguments.
        log: file for its output.
        variables: the whole environment; None: this process's.
        cwd: working directory; None: this process's.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command), stdout=output, stderr=output, start_new_session=True, env=variables, cwd=cwd
        )


def end(process: subprocess.Popen[bytes], patience: float = 20) -> None:
    """Ends a server and everything in its process group: SIGTERM, and SIGKILL after some seconds of patience."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    variables: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    patience: float = 20,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, with its whole group; see `start` and `end`."""
    process = start(command, log, variables, cwd)
    try:
        yield process
    finally:
        end(process, patience)


def tail(log: Path, characters: int = 4000) -> str:
    """The end of a log, for messages."""
    return log.read_text(encoding="utf-8", errors="replace")[-characters:] if log.exists() else ""
