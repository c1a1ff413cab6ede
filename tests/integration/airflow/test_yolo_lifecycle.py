"""A pipeline's DAG from end to end with Airflow's own task runner: good runs, refused ones, and failed ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Finished, Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support.processes import free_port, until
from tests.support.release_repository import FILE, git

LATE = ("register", "promote", "wait_for_rollout", "verify_serving", "set_alias")


def states(ended: Finished, *tasks: str) -> list[str]:
    return [ended.tasks[task] for task in tasks]


def mlflow_end(platform: Platform, ended: Finished) -> tuple[str, str | None]:
    """What MLflow says of the run's end: its status and the tag `outcome`."""
    run = platform.client.get_run(ended.pull("open_run")["run_id"])
    return run.info.status, run.data.tags.get("outcome")


def clear_alone(ended: Finished, task: str) -> None:
    """As Airflow's scheduler ends a DAG run of which a person cleared one task without those that follow it."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        dag_run = session.scalars(select(DagRun).where(DagRun.run_id == ended.run_id)).one()
        instance = dag_run.get_task_instance(task, session=session)
        assert instance is not None
        instance.end_date = datetime.now(UTC)
        dag_run.notify_dagrun_state_changed("success")


def test_good_run_ends_with_the_new_version_as_champion(platform: Platform, run: Run) -> None:
    ended = run(**platform.params())
    assert ended.state == "success", ended.text[-5000:]
    assert {task: state for task, state in ended.tasks.items() if state != "success"} == {"restore": "skipped"}
    assert set(ended.tries.values()) <= {0, 1}
    assert (platform.versions(), platform.alias()) == ([1], "1")
    assert platform.hand.refreshes() == "normal"

    opened, registered = ended.pull("open_run"), ended.pull("register")
    pin, commit = platform.repository.pin(), platform.repository.tip
    assert (pin["version"], pin["sha256"], pin["runId"]) == (1, registered["sha256"], opened["run_id"])
    assert pin["codeCommit"] == platform.repository.code == ended.pull("verify_serving")["code_commit"]
    message = platform.repository.message()
    for trailer in (
        f"Model-Version: {platform.model}/1",
        f"MLflow-Run: {opened['run_id']}",
        f"Code-Commit: {platform.repository.code}",
        f"Dataset-Digest: {registered['dataset_digest']}",
        f"Dag-Run: digits/{ended.run_id}",
    ):
        assert trailer in message.splitlines()

    tags = platform.client.get_model_version(platform.model, "1").tags
    assert (tags["commit"], tags["environment"], tags["dag_run_id"]) == (commit, "staging", ended.run_id)
    assert tags["code_commit"] == platform.repository.code
    assert tags["live_since"].endswith("+00:00")
    assert ended.pull("promote")["former"]["version"] is None
    served = ended.pull("verify_serving")
    assert (served["version"], served["sha256"], served["url"]) == (1, pin["sha256"], platform.served.url)
    assert (served["images"], served["matched"]) == (2, 2)
    pictures = platform.client.list_artifacts(opened["run_id"], "serving")
    assert [item.path for item in pictures] == ["serving/detections.png"]
    assert mlflow_end(platform, ended) == ("FINISHED", "live")

    platform.client.update_run(opened["run_id"], status="RUNNING")
    clear_alone(ended, "open_run")
    until("MLflow's run has ended", lambda: mlflow_end(platform, ended) == ("FINISHED", "live"))


@pytest.mark.extended
def test_second_run_is_compared_with_the_first_and_changes_three_lines(released: Platform, run: Run) -> None:
    platform = released
    ended = run(**platform.params(hyperparameters={"map50": 0.95, "live": 0.9}))
    assert ended.state == "success", ended.text[-5000:]
    assert "the live version has 0.9000" in one_line(ended.text)
    changed = git("-C", str(platform.repository.bare), "show", "--format=", "--unified=0", "main", "--", FILE)
    lines = [line[1:].split(":")[0].strip() for line in changed.splitlines() if line[0] in "+-" and line[1] == " "]
    assert lines == ["version", "sha256", "runId"] * 2
    assert (platform.versions(), platform.alias()) == ([1, 2], "2")


def test_candidate_that_is_not_good_enough_changes_nothing(released: Platform, run: Run) -> None:
    platform = released
    before = platform.repository.tip
    for numbers, said in (
        ({"map50": 0.7}, "mAP50 0.7000 is 0.1500 below the least that is wanted, 0.8500"),
        ({"map50": 0.9, "live": 0.95}, "mAP50 0.9000 is 0.0500 below the live version's 0.9500"),
    ):
        ended = run(**platform.params(hyperparameters=numbers))
        assert ended.state == "success"
        assert states(ended, "gate", *LATE, "restore") == ["success", *["skipped"] * 6]
        assert (platform.repository.tip, platform.versions(), platform.served.version) == (before, [1], 1)
        tags = platform.client.get_run(ended.pull("open_run")["run_id"]).data.tags
        assert tags["gate"] == "rejected" and said in tags["gate_reason"]
        assert mlflow_end(platform, ended) == ("FINISHED", "rejected")


@pytest.mark.extended
def test_version_with_other_classes_stops_at_the_gate_unless_the_run_allows_it(released: Platform, run: Run) -> None:
    platform = released
    before = platform.repository.tip
    other = platform.params(hyperparameters={"map50": 0.95, "classes": ["one", "two"]})
    ended = run(**other)
    assert ended.state == "success"
    assert states(ended, "gate", *LATE) == ["success", *["skipped"] * 5]
    said = "its classes are not those of the live version 1 (came: two; went: zero; have another number: one)"
    tags = platform.client.get_run(ended.pull("open_run")["run_id"]).data.tags
    assert said in tags["gate_reason"] and "allow_class_change" in tags["gate_reason"]
    assert (platform.repository.tip, platform.versions()) == (before, [1])

    allowed = run(**other, allow_class_change=True)
    assert allowed.state == "success", allowed.text[-5000:]
    change = "came: two; went: zero; have another number: one"
    assert allowed.pull("gate", "decision")["classes"] == change
    assert f"Class-Change: {change}" in platform.repository.message().splitlines()
    assert (platform.repository.pin()["version"], platform.alias()) == (2, "2")


def test_bad_dataset_fails_at_once_and_leaves_nothing(platform: Platform, run: Run) -> None:
    before = platform.repository.tip
    ended = run(**platform.params(dataset="bad"))
    assert ended.state == "failed"
    assert (ended.tasks["prepare"], ended.tries["prepare"]) == ("failed", 1)
    assert states(ended, "train", *LATE) == ["upstream_failed"] * 6
    assert ended.tasks["restore"] == "skipped"
    assert "ERROR: the dataset bad has no images" in ended.text
    assert (ended.tasks["close_run"], ended.tries["close_run"]) == ("failed", 1)
    assert mlflow_end(platform, ended) == ("FAILED", "failed in prepare")
    assert (platform.repository.tip, platform.versions()) == (before, [])


@pytest.mark.extended
def test_pod_that_dies_is_retried_in_the_same_run_with_one_version(platform: Platform, run: Run) -> None:
    ended = run(**platform.params(dataset="flaky"))
    assert ended.state == "success", ended.text[-5000:]
    assert [ended.tries[step] for step in ("prepare", "train", "evaluate")] == [2, 2, 2]
    assert platform.versions() == [1]
    experiment = ended.pull("open_run")["experiment_id"]
    assert len(platform.client.search_runs([experiment])) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"served_model": "letters"}, "no model letters"),
        ({"app": "classifier"}, "there is no such file"),
        ({"registered_model": "letters-detector"}, "serves the registered model"),
    ],
)
def test_target_that_does_not_exist_fails_before_anything_is_done(
    platform: Platform, run: Run, wrong: dict[str, Any], said: str
) -> None:
    ended = run(**platform.params(**wrong))
    assert (ended.state, ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", "failed", 1)
    assert ended.tasks["prepare"] == "upstream_failed"
    assert said in one_line(ended.text)


def test_mlflow_away_is_an_error_and_never_a_decision(
    platform: Platform, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = platform.repository.tip
    nobody = f'{{"conn_type": "http", "host": "127.0.0.1", "port": {free_port()}}}'
    monkeypatch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", nobody)
    ended = run(**platform.params())
    assert (ended.state, ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", "failed", 3)
    assert "does not answer" in ended.text
    assert "It opened no MLflow run" in one_line(ended.text) and ended.tries["close_run"] == 1
    assert platform.repository.tip == before


def test_model_on_hold_is_trained_and_registered_and_not_promoted(platform: Platform, run: Run) -> None:
    before = platform.repository.write(platform.repository.text().replace("hold: false", "hold: true"))
    ended = run(**platform.params())
    assert ended.state == "success"
    assert states(ended, *LATE, "restore") == ["success", *["skipped"] * 5]
    assert "is on hold" in one_line(ended.text)
    assert mlflow_end(platform, ended) == ("FINISHED", "not promoted")
    assert (platform.repository.tip, platform.versions()) == (before, [1])
