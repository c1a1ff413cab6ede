"""Run one suite (unit, integration or e2e), each part in the environment of the image whose code it tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"

# The trainer's and Triton's environments hold what their images hold; pytest comes by PYTHONPATH.
OF_IMAGE = {"trainer": ("trainer",), "triton": ("model_repository",)}


def parts(suite: str) -> list[tuple[str, list[str]]]:
    """(environment, folders) pairs; every folder of the suite is in exactly one."""
    folders = sorted(
        entry.name for entry in (ROOT / "tests" / suite).iterdir() if entry.is_dir() and entry.name[0] != "_"
    )
    special = {name: env for env, names in OF_IMAGE.items() for name in names}
    found: dict[str, list[str]] = {"dev": []}
    for name in folders:
        found.setdefault(special.get(name, "dev"), []).append(f"tests/{suite}/{name}")
    found["dev"] += [f"tests/{suite}/{path.name}" for path in sorted((ROOT / "tests" / suite).glob("test_*.py"))]
    return [(env, names) for env, names in found.items() if names]


def main(suite: str, options: list[str]) -> int:
    """Run all parts even when one fails; 0 only if every one passed."""
    failed = []
    for env, folders in parts(suite):
        start = time.monotonic()
        # Programs that come from Debian's packages; the system's own are found first.
        path = f"{os.environ['PATH']}:{VENV / 'apt' / 'usr' / 'bin'}"
        # Nothing talks to anything but loopback: ONNX Runtime's telemetry is on by default.
        variables = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PATH=path, ORT_DISABLE_TELEMETRY="1")
        if env != "dev":
            variables["PYTHONPATH"] = str(VENV / "pytest")
        command = [str(VENV / env / "bin" / "python"), "-m", "pytest", "-q", "--durations=5", *options, *folders]
        if env == "dev":
            # The same examples each time, and none refused because the machine was slow.
            command.insert(3, "--hypothesis-profile=ci")
        if (suite, env) == ("unit", "dev"):
            # By file: what a file sets up once is for all its tests. The other suites share servers across files.
            command[3:3] = ["--numprocesses=2", "--dist=loadfile"]
        print(f"== {suite} in {env}: {' '.join(folders)}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=variables).returncode:
            failed.append(f"{suite} in {env}")
        print(f"== {suite} in {env}: {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
