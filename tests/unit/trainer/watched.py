"""Runs Python code whose requests to the network are refused and reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TRAINER = Path(__file__).resolve().parents[3] / "docker" / "trainer"
WATCH = Path(__file__).parent / "network_watch"


def run_watched(code: str, folder: Path, *arguments: str) -> tuple[str, list[str]]:
    """Run code in a new process, at home in ``folder``; its output, and what it asked beside loopback.

    So are the processes watched that it starts: see network_watch/sitecustomize.py.
    """
    report = folder / "requests"
    variables = {name: value for name, value in os.environ.items() if name not in ("NNCF_CI", "NNCF_DEV")}
    found = [str(WATCH), str(TRAINER), *filter(None, [variables.get("PYTHONPATH")])]
    variables |= {"PYTHONPATH": os.pathsep.join(found), "HOME": str(folder), "NETWORK_REPORT": str(report)}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr, report.read_text().splitlines() if report.exists() else []
