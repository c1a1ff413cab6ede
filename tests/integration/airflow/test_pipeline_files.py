"""A wrong pipeline's file, as Airflow's DAG processor shows it; and what a run refuses or skips before it trains."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support import airflow_environment
from tests.support.pipelines import letters, write
from tests.support.release_repository import Repository

AIRFLOW = str(Path(sys.executable).with_name("airflow"))


Read = Callable[[], tuple[dict[str, str], set[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Let the DAG processor read every file of `dags` in the test's folder once, with a database of the test's own.

    Returns the import errors by file, and the DAGs that there are then, as Airflow's page reads them.
    """
    (tmp_path / "dags").mkdir()
    file = tmp_path / "airflow.db"
    variables = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{file}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(tmp_path / "logs"),
    }
    airflow_environment.copy_database(file)

    def call() -> tuple[dict[str, str], set[str]]:
        command = [AIRFLOW, "dag-processor", "--num-runs", "1"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            errors = database.execute("select filename, stacktrace from import_error").fetchall()
            dags = database.execute("select dag_id from dag where not is_stale").fetchall()
        return {Path(name).name: error for name, error in errors}, {name for (name,) in dags}

    return call


@pytest.mark.extended
def test_a_wrong_file_is_an_import_error_that_names_the_key_and_the_other_dags_stay(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "dags" / "pipelines"
    write(folder, "letters", letters())
    write(folder, "shapes", letters(train__epochs=0, stages=[{**letters()["stages"][0], "model": "shapes"}]))
    errors, dags = read()
    assert set(errors) == {"shapes.py"}
    assert "pipelines/shapes.yaml cannot be used" in errors["shapes.py"]
    assert "train.epochs: input should be greater than or equal to 1 (it is 0)" in errors["shapes.py"]
    assert dags == {"letters"}
    write(folder, "shapes", letters())
    errors, dags = read()
    assert set(errors) == {"letters.py", "shapes.py"}
    assert "staging/detector/letters is written by letters.yaml too" in errors["shapes.py"]
    assert "staging/detector/letters is written by shapes.yaml too" in errors["letters.py"]

    write(folder, "shapes", letters(stages=[{**letters()["stages"][0], "model": "shapes"}]))
    assert read() == ({}, {"letters", "shapes"})


def test_an_environment_that_this_cluster_does_not_serve_is_refused_before_training(
    platform: Platform, run: Run
) -> None:
    repository: Repository = platform.repository
    repository.write(repository.text(), "argocd-apps/qa/detector/values.yaml")
    before = repository.tip
    ended = run(**platform.params(environment="qa"))
    assert (ended.state, ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", "failed", 1)
    assert ended.tasks["prepare"] == "upstream_failed"
    said = one_line(ended.text)
    assert "This cluster does not serve qa/detector: it has no Application argocd/qa-detector" in said
    assert repository.tip == before
    assert platform.client.get_experiment_by_name(platform.model) is None


@pytest.mark.extended
def test_a_run_that_would_train_what_is_live_ends_as_skipped(platform: Platform, run: Run) -> None:
    assert run(**platform.params()).tasks["set_alias"] == "success"
    before = platform.repository.tip
    ended = run(**platform.params(skip_unchanged=True))
    assert ended.state == "success"
    skipped = {task for task, state in ended.tasks.items() if state == "skipped"}
    assert {"find_changes", "train", "evaluate", "register", "promote", "restore"} <= skipped
    assert "Nothing to train: dataset, weights, settings and image are those of the live version 1" in one_line(
        ended.text
    )
    assert (platform.repository.tip, platform.versions()) == (before, [1])
    again = run(**platform.params(skip_unchanged=True, seed=1, hyperparameters={"map50": 0.95}))
    assert again.pull("find_changes") == ["settings"]
    assert platform.versions() == [1, 2]
