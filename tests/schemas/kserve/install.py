"""Install KServe's SDK (requirements.txt), without its requirements, into .venv/kserve-schemas, once for each state.

    .venv/dev/bin/python -m tests.schemas.kserve.install

Its models say which fields an object of KServe has, and of which type. They are read and not imported.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tools.environments import SetupError, installer

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[2] / ".venv" / "kserve-schemas"
FILE = HERE / "requirements.txt"


def ensure() -> Path:
    """The folder with the models; installs it where it is missing or old.

    Raises:
        SetupError: uv failed, most often because no registry is in reach.
    """
    digest, stamp = hashlib.sha256(FILE.read_bytes()).hexdigest(), TARGET / ".stamp"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(TARGET, ignore_errors=True)
        uv, variables = installer()
        options = ("--quiet", "--no-deps", "--require-hashes", "--target", str(TARGET))
        command = [str(uv), "pip", "install", *options, "--python", sys.executable, "-r", str(FILE)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        if done.returncode:
            raise SetupError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
        stamp.write_text(digest)
    return TARGET / "kserve" / "models"


if __name__ == "__main__":
    try:
        ensure()
    except SetupError as error:
        sys.exit(f"ERROR: {error}")
