"""The approval of a person between version and commit, answered through Airflow's own API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.airflow.dag_runs import Finished, Platform, Run
from tests.support.processes import until


def answer_with(
    choice: str, seen: dict[str, Any], task: str = "approve", first: Callable[[Any], None] = lambda _: None
) -> threading.Thread:
    """Answer the pending question as Airflow's UI does, after `first`; keep what it showed."""
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    # Made before the thread starts: it imports models, and SQLAlchemy sets these up under a lock that the run takes.
    app = create_app(apps="core")

    def respond() -> None:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            token = client.get("/auth/token").json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            base = "/api/v2/dags/digits/dagRuns/~"

            def pending() -> Any:
                found = client.get(f"{base}/hitlDetails", params={"response_received": False}).json()
                waiting = [item for item in found["hitl_details"] if item["task_instance"]["state"] == "awaiting_input"]
                return waiting[0] if waiting else None

            question = until("the question", pending, seconds=90, pause=0.5)
            seen.update(question)
            first(client)
            instance = question["task_instance"]
            path = f"/api/v2/dags/digits/dagRuns/{instance['dag_run_id']}/taskInstances/{task}/-1/hitlDetails"
            said = client.patch(path, json={"chosen_options": [choice], "params_input": {}})
            assert said.status_code == 200, said.text

    thread = threading.Thread(target=respond)
    thread.start()
    return thread


@pytest.fixture
def asked(
    platform: Platform, run: Run, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Finished, dict[str, Any]]]:
    """Run digits with approval required; a person gives the answer."""
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    configure(REQUIRE_APPROVAL="true")

    def ask(choice: str) -> tuple[Finished, dict[str, Any]]:
        seen: dict[str, Any] = {}
        person = answer_with(choice, seen)
        ended = run(**platform.params())
        person.join()
        return ended, seen

    return ask


def test_approved_version_goes_live(platform: Platform, asked: Callable[..., Any]) -> None:
    ended, seen = asked("Approve")
    assert ended.state == "success", ended.text[-5000:]
    assert (platform.served.version, platform.alias()) == (1, "1")
    assert "| mAP50 | 0.9000 |" in seen["body"]
    assert "version **1**" in seen["body"] and "staging/detector" in seen["body"]


@pytest.mark.extended
def test_rejected_version_stays_registered_and_is_not_committed(platform: Platform, asked: Callable[..., Any]) -> None:
    before = platform.repository.tip
    ended, _ = asked("Reject")
    assert ended.state == "success"
    assert [ended.tasks[task] for task in ("register", "approve", "promote", "wait_for_rollout", "restore")] == [
        *["success"] * 2,
        *["skipped"] * 3,
    ]
    assert (platform.repository.tip, platform.versions()) == (before, [1])
