#!/usr/bin/env python3
"""Whether this image can do its work: every pinned package is there, Airflow and MLflow answer, the DAGs import.

Needs neither network nor database. Prints what it found; ends with 1 and one line for each thing that is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PINS = Path(__file__).with_name("requirements.txt")
# What a cluster needs beside what the sandbox has: PostgreSQL, the log-in of the official chart, S3.
CLUSTER = ("psycopg2", "asyncpg", "boto3", "s3fs", "airflow.providers.fab.auth_manager.fab_auth_manager")
# What tasks import only when they run: the client of the served detector.
LATE = ("yolo_client",)
COMMANDS = (("airflow", "version"), ("mlflow", "--version"), ("git", "--version"), ("ssh", "-V"))


def pins() -> Iterator[str]:
    """What is not installed as the file says."""
    for name, wanted in re.findall(r"^([\w.-]+)(?:\[\S*\])?==(\S+)$", PINS.read_text(), re.MULTILINE):
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "not there"
        if found != wanted:
            yield f"{name} is {found}, and {PINS.name} says {wanted}"


def commands() -> Iterator[str]:
    """Whether the programs answer."""
    for command in COMMANDS:
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            yield f"there is no {command[0]} on PATH"
            continue
        said = (done.stdout + done.stderr).strip().splitlines()[-1:] or [""]
        sys.stdout.write(f"{command[0]}: {said[0]}\n")
        if done.returncode:
            yield f"`{' '.join(command)}` ended with {done.returncode}: {said[0]}"


def dags() -> Iterator[str]:
    """Whether every DAG file of the image imports and gives a DAG."""
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    warnings.simplefilter("ignore")
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag

    for name in (*CLUSTER, *LATE):
        import_module(name)
    folder = Path(settings.DAGS_FOLDER)
    files = sorted(path.stem for path in folder.rglob("*.py"))
    bag = DagBag(str(folder))
    sys.stdout.write(f"DAGs: {', '.join(sorted(bag.dags))}\n")
    yield from (f"{path} cannot be imported: {error}" for path, error in bag.import_errors.items())
    if not files or sorted(bag.dags) != files:
        yield f"{folder} has the files {files}, and the DAGs {sorted(bag.dags)} came of them"


def main() -> int:
    """Check everything, even after a first failure."""
    wrong = [*pins(), *commands(), *dags()]
    for line in wrong:
        sys.stderr.write(f"unhealthy: {line}\n")
    sys.stdout.write(f"user {os.getuid()}:{os.getgid()}, {'not healthy' if wrong else 'healthy'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
