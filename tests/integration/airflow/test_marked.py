"""A person marks a DAG run in Airflow's UI, through whose API the mark goes: the MLflow run ends with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.support.processes import until


def mark_the_one_that_waits(state: str) -> tuple[threading.Thread, list[str]]:
    """Mark the DAG run whose approval is asked for; the list has the state when Airflow has it."""
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    # Made before the thread starts: it imports models, and SQLAlchemy sets these up under a lock that the run takes.
    app = create_app(apps="core")

    def mark() -> None:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            token = client.get("/auth/token").json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            runs = "/api/v2/dags/digits/dagRuns"

            def pending() -> Any:
                found = client.get(f"{runs}/~/hitlDetails", params={"response_received": False}).json()["hitl_details"]
                waiting = [item["task_instance"] for item in found]
                return next((item for item in waiting if item["state"] == "awaiting_input"), None)

            instance = until("the question", pending, seconds=90)
            said = client.patch(f"{runs}/{instance['dag_run_id']}", json={"state": state})
            assert said.status_code == 200, said.text
            # No pending task keeps Airflow from it. (`ended.state` is no proof: DAG.test() reads the tasks again and
            # not the run's state, and takes a run whose last task is skipped for a success.)
            assert said.json()["state"] == state
            marked.append(state)

    marked: list[str] = []
    thread = threading.Thread(target=mark)
    thread.start()
    return thread, marked


@pytest.mark.extended
@pytest.mark.parametrize(("state", "status"), [("failed", "KILLED"), ("success", "FINISHED")])
def test_the_mlflow_run_ends_and_airflow_keeps_the_state_that_the_person_gave(
    platform: Platform,
    run: Run,
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    status: str,
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    configure(REQUIRE_APPROVAL="true")
    person, marked = mark_the_one_that_waits(state)
    ended = run(**platform.params())
    person.join()
    assert marked == [state]
    assert (ended.tasks["close_run"], ended.tasks["promote"]) == ("skipped", "skipped")
    run_id = ended.pull("open_run")["run_id"]
    info = until(
        "MLflow's run has ended",
        lambda: next((found for found in [platform.client.get_run(run_id)] if found.info.status != "RUNNING"), None),
    )
    assert (info.info.status, info.data.tags["outcome"]) == (status, "ended by hand")
