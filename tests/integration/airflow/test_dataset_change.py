"""A file that changes starts a run by itself, through Airflow's own DAG processor, scheduler and triggerer."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.airflow.servers import BIN
from tests.support import airflow_environment
from tests.support.pipelines import letters, write
from tests.support.processes import free_port, running, tail, until

Component = Callable[[str], Any]


@pytest.fixture
def component(tmp_path: Path) -> Component:
    """Airflow's components, with a DAG folder and a database of the test's own."""
    port = free_port()
    variables = {
        **os.environ,
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Nothing listens there: what becomes of the runs is other tests' matter.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        # The first run never ends here, and an event waits while the most runs are active.
        "LIFECYCLE_MAX_ACTIVE_RUNS": "4",
    }
    airflow_environment.copy_database(tmp_path / "airflow.db")

    @contextmanager
    def started(command: str) -> Iterator[Path]:
        program, *options = command.split()
        log = tmp_path / f"{program}.log"
        log.write_text("")
        with running([str(BIN / "airflow"), program, *options], log, variables, cwd=tmp_path):
            yield log

    return started


def runs(folder: Path) -> list[dict[str, Any]]:
    """What the DAG's runs were started by: the asset events that each of them consumed."""
    query = """select dag_run.run_type, asset_event.extra from dag_run
        join dagrun_asset_event on dagrun_asset_event.dag_run_id = dag_run.id
        join asset_event on asset_event.id = dagrun_asset_event.event_id
        where dag_run.dag_id = 'letters' order by asset_event.id"""
    with closing(sqlite3.connect(f"file:{folder}/airflow.db?mode=ro", uri=True)) as database:
        found = database.execute(query).fetchall()
    assert {kind for kind, _ in found} <= {"asset_triggered"}
    return [json.loads(extra)["payload"] for _, extra in found]


@pytest.mark.extended
def test_a_file_that_changes_starts_a_run_and_a_restarted_triggerer_starts_none(
    component: Component, tmp_path: Path
) -> None:
    archive = tmp_path / "letters.zip"
    archive.write_bytes(b"first")
    write(tmp_path / "dags", "letters", letters(dataset=str(archive), run__on_dataset_change="1s"))
    with ExitStack() as stack:
        logs = [stack.enter_context(component(name)) for name in ("dag-processor", "scheduler --skip-serve-logs")]

        def shown() -> str:
            return "\n".join(tail(log) for log in [*logs, tmp_path / "triggerer.log"])

        with component("triggerer --skip-serve-logs") as log:
            until("the file is watched", lambda: "is watched from now on" in tail(log, 10**6), shown)
            archive.write_bytes(b"second one")
            until("a run starts", lambda: runs(tmp_path), shown)
        with component("triggerer --skip-serve-logs") as log:
            until("the file is looked at again", lambda: "is as it was" in tail(log, 10**6), shown)
            archive.write_bytes(b"and the third")
            until("the next run starts", lambda: len(runs(tmp_path)) > 1, shown)
    first, second = runs(tmp_path)
    assert first["dataset"] == str(archive)
    assert (first["former"].endswith(", 5 bytes"), first["fingerprint"].endswith(", 10 bytes")) == (True, True)
    assert (second["former"], second["fingerprint"].endswith(", 13 bytes")) == (first["fingerprint"], True)
