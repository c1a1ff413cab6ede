#!/usr/bin/env python3
"""Whether this image can do its work: every pinned package is there, and the client says why nobody answers.

Needs neither network nor volume. Prints what it found; ends with 1 and one line for each thing that is wrong.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path(__file__).with_name("requirements.txt")
CLIENT = Path(__file__).with_name("log_requests.py")
# Nothing listens there.
ARGUMENTS = ("--url", "127.0.0.1:1", "--model", "health", "--wait", "0")


def pins(path: Path = PINS) -> Iterator[str]:
    """What is not installed as the file says."""
    for name, wanted in re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(), re.MULTILINE):
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not there"
        if found != wanted:
            yield f"{name} is {found}, and {path.name} says {wanted}"


def client() -> Iterator[str]:
    """Whether the program starts, and tells that the model is not served."""
    done = subprocess.run([sys.executable, str(CLIENT), *ARGUMENTS], capture_output=True, text=True, timeout=60)
    sys.stdout.write(done.stderr)
    if done.returncode != 1 or "ERROR: health was not ready" not in done.stderr:
        yield f"{CLIENT.name} ended with {done.returncode} where nobody answers: {(done.stderr or done.stdout)[-500:]}"


def main() -> int:
    """Check everything, even after a first failure."""
    wrong = [*pins(), *client()]
    for line in wrong:
        sys.stderr.write(f"unhealthy: {line}\n")
    sys.stdout.write(f"user {os.getuid()}:{os.getgid()}, {'not healthy' if wrong else 'healthy'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
