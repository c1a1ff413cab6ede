"""Coverage of the product's own code, in every Python process that the tests start.

Not by pytest-cov, which measures the test process and what inherits its interpreter. Here three environments and the
programs that tests start in them are measured: each interpreter looks at COVERAGE_DATA when it starts, in `dev` by a
.pth file that is made for the run, in an image's environment, which holds what the image holds, by `sitecustomize.py`
on PYTHONPATH. Then `coverage_hook/measure.py` notes what runs; coverage.py reports (pyproject.toml, tool.coverage).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from typing import IO

from tools.parts import ROOT

DATA = ROOT / ".coverage"
HOOK = ROOT / "tools" / "coverage_hook"
DEV = ROOT / ".venv" / "dev"
PYTHON = DEV / "bin" / "python"
# Python runs the line when it starts.
START = 'import os, sys; os.environ.get("COVERAGE_DATA") and (sys.path.append({hook!r}), __import__("measure"))\n'


def variables() -> dict[str, str]:
    """What a process needs to be measured, and its children too."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]
    included = [pattern.replace("${COVERAGE_ROOT-.}", str(ROOT)) for pattern in settings["include"]]
    return {
        "COVERAGE_DATA": str(DATA / "processes"),
        "COVERAGE_INCLUDE": os.pathsep.join(included),
        "COVERAGE_ROOT": str(ROOT),
    }


def forget() -> None:
    """Remove what earlier runs measured, and have the processes of `dev` measured."""
    shutil.rmtree(DATA, ignore_errors=True)
    (DATA / "processes").mkdir(parents=True)
    for packages in DEV.glob("lib/python3.*/site-packages"):
        (packages / "measured.pth").write_text(START.format(hook=str(HOOK)))


def report(output: IO[str] | None = None) -> int:
    """Print the share of the product's lines that ran; 1 if it is below the floor.

    Args:
        output: where to print; none: this process' own output.
    """
    environment = {**os.environ, "COVERAGE_ROOT": str(ROOT), "COVERAGE_FILE": str(DATA / "data")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
        options = ["--rcfile", str(ROOT / "pyproject.toml")]
        return run(str(PYTHON), "-m", "coverage", arguments[0], *options, *arguments[1:])

    collected = run(str(PYTHON), str(HOOK / "collect.py"), str(DATA / "processes"), str(DATA / "data.processes"))
    combined = coverage("combine", "--quiet", str(DATA)) if collected.returncode == 0 else collected
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
