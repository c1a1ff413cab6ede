"""Airflow's database of the sandbox: a file to which its components, tasks and a person's clicks write at once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text

from sandbox.platform import servers
from sandbox.platform.config import Config


def test_a_write_waits_for_another_ones_as_long_as_a_busy_machine_takes(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    variables = servers.airflow_variables(Config(tmp_path, 0, 0), 8080, 5000)
    # As Airflow makes its connections: from the URL, to the file that it names.
    engine = create_engine(variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() >= 30_000
    assert (tmp_path / "airflow" / "airflow.db").exists()
