"""Get the Debian packages that tests need (apt-packages.txt), without installing them.

The packages, and what they depend on and the system lacks, are downloaded by apt and unpacked into .venv/apt: no
service of theirs is started, no file of the system is touched, and only refreshing apt's lists needs root.
tools/tests.py puts .venv/apt/usr/bin on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".venv" / "apt"
LIST = ROOT / "apt-packages.txt"
CHROMIUM = "chromium-headless-shell"
# JavaScript of Prometheus' own pages, which no test opens: 230 MB.
LEFT_OUT = "libjs-"


def wanted(text: str) -> dict[str, bool]:
    """The packages that a list names, and whether each is optional."""
    lines = [line.partition("#") for line in text.splitlines()]
    return {name.strip(): comment.strip() == "optional" for name, _, comment in lines if name.strip()}


def apt(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run apt-get, which may be absent."""
    try:
        return subprocess.run(["apt-get", "-qq", *arguments], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(arguments, 127, "", f"there is no apt-get here ({error}).")


def resolve(name: str) -> tuple[list[str], str]:
    """The package and what it needs and the system lacks; where apt does not know it, its words."""
    asked = ("install", "--simulate", "--no-install-recommends", name)
    done = apt(*asked)
    if done.returncode and not (refreshed := apt("update")).returncode:
        done = apt(*asked)
    elif done.returncode:
        done.stderr += refreshed.stderr
    if done.returncode:
        return [], " ".join(done.stderr.split())
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]
    return [each for each in found if not each.startswith(LEFT_OUT)] or [name], ""


def unpack(names: list[str]) -> str:
    """Download packages and unpack them into .venv/apt; apt's words where it could not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # apt drops its rights to the user _apt while it downloads.
        folder.chmod(0o755)
        done = apt("download", *names, folder=folder)
        if done.returncode:
            return " ".join(done.stderr.split())
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(TARGET)], check=True)
    return ""


def relocate() -> None:
    """Have Chromium's start script find what was unpacked beside it; the package's own names the system's folders."""
    script, program = TARGET / "usr" / "bin" / CHROMIUM, TARGET / "usr" / "lib" / "chromium" / CHROMIUM
    if not script.exists():
        return
    folders = sorted({str(file.parent) for file in (TARGET / "usr" / "lib").rglob("*.so*")})
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{":".join(folders)}" exec "{program}" "$@"\n')


def main() -> int:
    """Unpack what apt-packages.txt names, unless it is there already or the system has it.

    Raises:
        SystemExit: apt cannot be used, or has no such package and it is not optional; the message says what to do.
    """
    text = LIST.read_text()
    stamp = TARGET / ".stamp"
    if stamp.exists() and stamp.read_text() == text:
        return 0
    missing = {name: optional for name, optional in wanted(text).items() if not shutil.which(name)}
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for name, optional in missing.items():
        found, problem = resolve(name)
        problem = problem or unpack(found)
        if problem and not optional:
            sys.exit(
                f"The package {name} could not be had: {problem} Put its programs on PATH, or run `sudo apt-get "
                "update`; then run `make test` again."
            )
        if problem:
            sys.stdout.write(f"Without the package {name}, which is optional: {problem}\n")
    relocate()
    stamp.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
