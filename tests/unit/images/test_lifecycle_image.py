"""The image that runs a pipeline's steps without Airflow has all that they import."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "docker" / "lifecycle"

# Refuses what our code imports of a package that the image lacks, though the environment of the tests has it.
SCRIPT = """
import runpy, sys
from importlib.metadata import packages_distributions

installed = set(sys.argv[2].split())
canonical = lambda name: name.lower().replace("_", "-").replace(".", "-")
owners = {top: {canonical(each) for each in found} for top, found in packages_distributions().items()}

class Image:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_globals.get("__name__", "") or frame.f_code.co_filename.startswith("<frozen"):
            frame = frame.f_back
        ours = frame.f_globals.get("__name__", "").partition(".")[0] in ("lifecycle", "yolo_client")
        found = owners.get(name.partition(".")[0])
        if ours and found and not found & {*installed, "mlflow", "yolo-client"}:
            raise ModuleNotFoundError(f"No module named {name!r}: the image lacks {', '.join(sorted(found))}")

sys.meta_path.insert(0, Image())
health = runpy.run_path(sys.argv[1])
import lifecycle.cli.main, lifecycle.cli.steps, lifecycle.publishing.__main__
from lifecycle import kinds
from lifecycle.pipelines import load
for kind in kinds.every().values():
    kind.answers
for name in health["LATE"]:
    __import__(name)
"""


def test_what_the_steps_import_is_pinned() -> None:
    pins = re.findall(r"^([\w.-]+)(?:\[\S*\])?==", (IMAGE / "requirements.txt").read_text(), re.MULTILINE)
    names = " ".join(re.sub(r"[-_.]+", "-", pin).lower() for pin in pins)
    # Where compiled modules are kept: else all that the steps import is compiled again.
    kept = {name: value for name, value in os.environ.items() if name.startswith("PYTHONPYCACHE")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(IMAGE / "health.py"), names],
        env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT / 'clients' / 'python'}", "PATH": "/usr/bin:/bin", **kept},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
