"""Coverage of the product's own code, in every Python process that the tests start.

Not by pytest-cov, which measures the test process and what inherits its interpreter. Here three environments and the
programs that tests start in them are measured, by the way that coverage documents for subprocesses:
COVERAGE_PROCESS_START names the settings (pyproject.toml), and each interpreter looks at it when it starts. In `dev`
coverage's own .pth file does so; in an image's environment, which holds what the image holds, `sitecustomize.py`
on PYTHONPATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import IO

from tools.parts import ROOT

DATA = ROOT / ".coverage"
HOOK = ROOT / "tools" / "coverage_hook"
PYTHON = ROOT / ".venv" / "dev" / "bin" / "python"


def variables() -> dict[str, str]:
    """What a process needs to be measured, and its children too."""
    return {
        "COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"),
        "COVERAGE_FILE": str(DATA / "data"),
        "COVERAGE_ROOT": str(ROOT),
    }


def forget() -> None:
    """Remove what earlier runs measured."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()


def report(output: IO[str] | None = None) -> int:
    """Print the share of the product's lines that ran; 1 if it is below the floor.

    Args:
        output: where to print; none: this process' own output.
    """
    environment = {**os.environ, **variables()}
    environment.pop("COVERAGE_PROCESS_START")

    def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
        options = ["--rcfile", str(ROOT / "pyproject.toml")]
        command = [str(PYTHON), "-m", "coverage", arguments[0], *options, *arguments[1:]]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    combined = coverage("combine", "--quiet", str(DATA))
    if combined.returncode:
        sys.stderr.write(f"coverage: the runs' data could not be combined: {combined.stdout}{combined.stderr}\n")
        return 1
    measured = coverage("report", "--skip-covered", "--sort=cover")
    (DATA / "report.txt").write_text(measured.stdout)
    whole = next((line for line in measured.stdout.splitlines() if line.startswith("TOTAL")), "no data")
    by_file = (DATA / "report.txt").relative_to(ROOT)
    (output or sys.stdout).write(f"{whole.split()[-1]} of the product's lines ran; by file: {by_file}\n")
    if measured.returncode:
        sys.stderr.write(f"coverage is below its floor (pyproject.toml, tool.coverage.report): {measured.stderr}\n")
    return int(measured.returncode != 0)
