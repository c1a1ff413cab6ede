"""Airflow's own settings for tests, made before anything imports Airflow: a home of its own, SQLite, this checkout.

Import it at the top of a conftest, as `tests.support.airflow_environment`. `migrate()` makes the database for the tests
that run tasks.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

if __name__ != "tests.support.airflow_environment":
    # Python would run it once for each name, and Airflow's home would change under the tests that have read it.
    raise ImportError(f"import tests.support.airflow_environment, not {__name__}")

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        # The client, as the image has it; for what Airflow starts, too.
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT / "clients" / "python"), os.environ.get("PYTHONPATH")))),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        # A DAG that another test changed half a minute ago is written again: a mark by hand goes by what is written.
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
    }
)


def check_schemas_once() -> None:
    """Check each JSON schema once.

    Airflow asks for every Param of every task each time that it writes a DAG: a quarter of a run's processor time here.
    """
    check = Draft202012Validator.check_schema
    sound: set[str] = set()

    def check_once(schema: Any, *arguments: Any, **options: Any) -> None:
        text = json.dumps(schema, sort_keys=True, default=repr)
        if text not in sound:
            check(schema, *arguments, **options)
            sound.add(text)

    Draft202012Validator.check_schema = staticmethod(check_once)


check_schemas_once()


@cache
def migrate() -> None:
    """Make the database."""
    program = Path(sys.executable).with_name("airflow")
    subprocess.run([str(program), "db", "migrate"], check=True, capture_output=True, timeout=120)
    shutil.copy(HOME / "airflow.db", HOME / "empty.db")


def copy_database(file: Path) -> None:
    """A database of a test's own, without the DAGs of tests before it and for DAGs that other tests must not see."""
    migrate()
    shutil.copy(HOME / "empty.db", file)
