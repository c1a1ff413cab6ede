"""Compile every pinned requirement file from its .in file, as `make lock` does.

The .in files say what we chose and why; the .txt files say everything that gets installed. Versions that are already
in a .txt stay unless the .in file asks for others (`make lock UPGRADE=1` takes the newest that fit).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tools.environments import ROOT, installer

# In this order: a file may be a constraint of a later one.
FILES = (
    ("requirements.in", "requirements.txt", None),
    ("docker/airflow/requirements.in", "docker/airflow/requirements.txt", None),
    ("docker/lifecycle/requirements.in", "docker/lifecycle/requirements.txt", None),
    ("docker/trainer/requirements.in", "docker/trainer/requirements.txt", "docker/trainer/overrides.txt"),
    ("docker/triton/requirements.in", "docker/triton/requirements.txt", None),
    ("docker/client/requirements.in", "docker/client/requirements.txt", None),
    ("sandbox/requirements.in", "sandbox/requirements.txt", None),
    ("requirements-dev.in", "requirements-dev.txt", None),
    ("requirements-pytest.in", "requirements-pytest.txt", None),
)

# The one compiled file that people open first.
HEADER = """\
# What dags/ and plugins/ import, pinned: Airflow as the sandbox and the tests have it. Compiled from requirements.in by
# `make lock`. Airflow's image holds docker/airflow/requirements.txt; every other image has a file of its own beside it.
"""


def main() -> int:
    """Compile all files; stop at the first that cannot be."""
    uv, variables = installer()
    for source, target, overrides in FILES:
        command = [str(uv), "pip", "compile", "--quiet", "--python-version", "3.11", "--no-header", "--no-annotate"]
        command += ["--override", overrides] if overrides else []
        command += ["--upgrade"] if os.environ.get("UPGRADE") else []
        path = Path(ROOT, target)
        before = path.read_text() if path.exists() else ""
        # Chosen anew each time: a torch that is pinned without its local build would bring the registry's, and CUDA's.
        path.write_text(re.sub(r"^torch==.*\n", "", before, flags=re.M))
        done = subprocess.run([*command, "--output-file", target, source], cwd=ROOT, env=variables)
        if done.returncode:
            path.write_text(before)
            return done.returncode
        # A local build of torch (+cpu) must not be named: elsewhere the same version comes from the registry.
        path.write_text(re.sub(r"^(torch==[\d.]+)\+\w+$", r"\1", path.read_text(), flags=re.M))
    path = Path(ROOT, "requirements.txt")
    path.write_text(HEADER + "".join(f"{line}\n" for line in path.read_text().splitlines() if line[0] != "#"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
