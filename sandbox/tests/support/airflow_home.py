"""A whole Airflow for one test: a home with an SQLite database, for the provider's operator against `sandbox.kube`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def make(home: Path, dags: Path) -> dict[str, str]:
    """Make the database below ``home``; the environment in which a program uses it and reads the DAGs in ``dags``."""
    variables = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }
    program = Path(sys.executable).with_name("airflow")
    subprocess.run([str(program), "db", "migrate"], env=variables, check=True, capture_output=True, timeout=120)
    return variables
