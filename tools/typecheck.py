"""Check types, each part against the environment of the image in which it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

HOUSE = [
    "benchmarks",
    "clients/python",
    "cluster",
    "conftest.py",
    "dags",
    "examples",
    "plugins",
    "sandbox",
    "tests",
    "tools",
]
# What the models import lies beside their model.py only once a pod has them.
SHARED = "model_repository/shared"
MODELS = sorted(ROOT.glob("model_repository/*/1/model.py"))
# (environment, paths). Triton's models are programs of their own, each with a `model.py`: one call each.
PARTS = [
    (
        "dev",
        [
            "conftest.py",
            *["clients/python", "dags", "plugins", "sandbox", "cluster", "tools", "benchmarks", "examples", "tests"],
        ],
    ),
    ("dev", ["docker/airflow/health.py"]),
    ("dev", ["docker/lifecycle/health.py"]),
    ("trainer", ["docker/trainer/trainer", "docker/trainer/health.py"]),
    ("triton", ["docker/triton/health.py"]),
    *(("triton", [SHARED, str(path.parent.relative_to(ROOT))]) for path in MODELS),
    *(("triton", [str(path.parent.relative_to(ROOT))]) for path in sorted(ROOT.glob("benchmarks/**/1/model.py"))),
]
# What another environment than `dev` has to be checked in.
ELSEWHERE = (
    "^(tests/(unit|integration)/trainer|tests/unit/model_repository|examples/export_onnx.py|benchmarks/.*/1/model.py)"
)


def main() -> int:
    """Run mypy for each part; 1 if any has an error."""
    failed = False
    mypy = str(ROOT / ".venv" / "dev" / "bin" / "mypy")
    for env, names in PARTS:
        python = str(ROOT / ".venv" / env / "bin" / "python")
        paths = [name for name in names if (ROOT / name).exists()]
        command = [mypy, "--python-executable", python, *(["--exclude", ELSEWHERE] if env == "dev" else []), *paths]
        print(f"== types in {env}: {' '.join(paths)}", flush=True)
        beside = {"MYPYPATH": SHARED} if SHARED in paths else {}
        failed |= subprocess.run(command, cwd=ROOT, env=os.environ | beside).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
