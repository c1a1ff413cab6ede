"""Processes that a command's programs left behind: found by a mark in their environment, named, and ended.

A server outlives the test that started it where that test's process was killed before it could end it, as pytest-xdist
does with its workers on Ctrl-C. Process groups and parents do not lead there, since a server has a session of its own
and its parent is gone; what a process was started with does (Jenkins finds a job's processes in the same way). Linux
only; elsewhere nothing is found.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "YOLO_LIFECYCLE_COMMAND"
GRACE = 10.0  # seconds until SIGTERM
PATIENCE = 10.0  # seconds from SIGTERM to SIGKILL
PAUSE = 0.1


@dataclass(frozen=True)
class Process:
    """One that runs now."""

    pid: int
    parent: int
    session: int
    command: str
    marked: bool


def processes(mark: str) -> dict[int, Process]:
    """This machine's processes by their numbers, as far as they can be looked into, without those that have ended."""
    wanted = f"{VARIABLE}={mark}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        # It ends meanwhile, or is somebody else's.
        with suppress(OSError):
            # The name, which may hold anything, stands in brackets before these.
            state, parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            marked = wanted in (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if state not in "ZX":
                found[int(entry.name)] = Process(int(entry.name), int(parent), int(session), command, marked)
    return found


def left(mark: str) -> dict[int, Process]:
    """What was started with the mark and runs; with its children and its session, whose environment may be another.

    (A program that sets its title, as Airflow's do, writes over the environment that it was started with.)
    """
    running = processes(mark)
    mine = {pid for pid, process in running.items() if process.marked} - {os.getpid()}
    ours = os.getsid(0)
    while True:
        sessions = {running[pid].session for pid in mine} - {ours}
        more = {p.pid for p in running.values() if p.parent in mine or p.session in sessions}
        if more <= mine:
            return {pid: running[pid] for pid in sorted(mine)}
        mine |= more


def end(mark: str, grace: float) -> list[Process]:
    """End what was left behind, SIGTERM first: a server ends its own processes.

    Args:
        mark: the value of VARIABLE that the command gave to its programs.
        grace: seconds in which they may end by themselves, as a browser's helpers and git's tidying do.

    Returns:
        What had to be told to end.
    """
    deadline = time.monotonic() + grace
    while left(mark) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    told: dict[int, Process] = {}
    killed_from = time.monotonic() + PATIENCE
    # One that the kernel does not let go, as of a network disk that is away, is named and left.
    while (running := left(mark)) and time.monotonic() < killed_from + PATIENCE:
        late = time.monotonic() > killed_from
        for pid, process in running.items():
            if late or pid not in told:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            told[pid] = process
        time.sleep(PAUSE)
    return list(told.values())
