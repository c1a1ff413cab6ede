#!/usr/bin/env python3
"""Whether this image can do its work: every pinned package is there, the command answers, git and ssh do, no Airflow.

Needs neither network nor volume. Prints what it found; ends with 1 and one line for each thing that is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PINS = Path(__file__).with_name("requirements.txt")
# What steps import only when they run.
LATE = (
    "boto3",
    "git",
    "kubernetes",
    "kubernetes_asyncio",
    "lifecycle.verification",
    "mlflow",
    "tritonclient.grpc",
    "tritonclient.http",
    "yolo_client",
)
STEPS = ("open", "gate", "register", "promote", "wait", "verify", "champion", "restore", "close", "workflow")


def pins(path: Path = PINS) -> Iterator[str]:
    """What is not installed as the file says."""
    for name, wanted in re.findall(r"^([\w.-]+)(?:\[\S*\])?==(\S+)$", path.read_text(), re.MULTILINE):
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not there"
        if found != wanted:
            yield f"{name} is {found}, and {path.name} says {wanted}"


def commands() -> Iterator[str]:
    """Whether the programs answer, and `python -m lifecycle` has every step."""
    for command in (("git", "--version"), ("ssh", "-V"), (sys.executable, "-m", "lifecycle", "--help")):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            yield f"there is no {command[0]} on PATH"
            continue
        said = (done.stdout + done.stderr).strip()
        if done.returncode:
            yield f"`{' '.join(command)}` ended with {done.returncode}: {said[-500:]}"
        elif command[-1] == "--help":
            yield from (f"`python -m lifecycle` has no step {step}" for step in STEPS if step not in said)
        else:
            sys.stdout.write(f"{said.splitlines()[0]}\n")


def modules() -> Iterator[str]:
    """Whether what a step imports late is there, and Airflow is not."""
    for name in LATE:
        try:
            import_module(name)
        except ImportError as error:
            yield f"{name} cannot be imported: {error}"
    if find_spec("airflow"):
        yield "Airflow is in this image, which is to show that no step needs it"


def main() -> int:
    """Check everything, even after a first failure."""
    wrong = [*pins(), *commands(), *modules()]
    for line in wrong:
        sys.stderr.write(f"unhealthy: {line}\n")
    sys.stdout.write(f"user {os.getuid()}:{os.getgid()}, {'not healthy' if wrong else 'healthy'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
