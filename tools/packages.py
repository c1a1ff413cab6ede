"""Get the Debian packages that tests need (apt-packages.txt), without installing them.

The packages are downloaded by apt and unpacked into .venv/apt: no service of theirs is started, no file of the system
is touched, and only refreshing apt's lists needs root. tools/tests.py puts .venv/apt/usr/bin on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".venv" / "apt"


def download(names: list[str], folder: str) -> None:
    """Download packages with apt, after refreshing its lists if they do not know them.

    Raises:
        SystemExit: apt has no such package or cannot be used; the message says what to do.
    """
    command = ["apt-get", "download", "-qq", *names]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            refreshed = subprocess.run(["apt-get", "update", "-qq"], capture_output=True, text=True)
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            done.stderr += refreshed.stderr
    except FileNotFoundError:
        sys.exit(
            f"There is no apt-get here: put the programs of {', '.join(names)} on PATH, then run `make test` again."
        )
    if done.returncode:
        sys.exit(
            f"`apt-get download {' '.join(names)}` failed: {done.stderr.strip()} Run `sudo apt-get update`, "
            "then `make test` again."
        )


def main() -> int:
    """Unpack what apt-packages.txt names, unless it is there already or the system has it."""
    names = (ROOT / "apt-packages.txt").read_text().split()
    stamp = TARGET / ".stamp"
    if all(shutil.which(name) for name in names) or (stamp.exists() and stamp.read_text().split() == names):
        return 0
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        # apt drops its rights to the user _apt while it downloads.
        Path(folder).chmod(0o755)
        download(names, folder)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(TARGET)], check=True)
    stamp.write_text("\n".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
