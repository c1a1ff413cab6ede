"""What the sensor makes of the trigger's event, on a real repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from lifecycle.errors import ClusterError, ClusterUnavailable, RolloutFailed, RolloutTimeout
from lifecycle.model.results import End, RolledOut, RolloutEvent
from lifecycle.sensors.application import ApplicationRolloutSensor

from tests.support.airflow_connections import Connect
from tests.support.release_repository import Repository


class Pushed(dict[str, Any]):
    """A task instance that keeps what was pushed."""

    def xcom_push(self, key: str, value: Any) -> None:
        self[key] = value


@pytest.fixture
def repository(tmp_path: Path, connect: Connect) -> Repository:
    made = Repository(tmp_path, "digits-detector")
    connect("kubernetes_default", {"conn_type": "kubernetes"}, GITOPS_URL=made.bare.as_uri())
    return made


def pinned(repository: Repository, version: int) -> str:
    """A commit that pins the version."""
    text = repository.text().splitlines()
    changed = [f"    version: {version}" if line.startswith("    version:") else line for line in text]
    return repository.write("\n".join(changed) + "\n")


def sensor(commit: str, version: int = 1) -> ApplicationRolloutSensor:
    return ApplicationRolloutSensor(
        task_id="wait_for_rollout",
        environment="staging",
        app="detector",
        model="digits",
        commit=commit,
        version=version,
    )


def resume(task: ApplicationRolloutSensor, happened: RolloutEvent, ti: Pushed | None = None) -> RolledOut:
    """As Airflow does when the trigger has fired."""
    context: Any = {"ti": Pushed() if ti is None else ti}
    return task.resume(context, happened)


def event(state: End, commit: str, revision: str = "", **changes: Any) -> RolloutEvent:
    made: RolloutEvent = {
        "state": state,
        "message": "no progress",
        "revision": revision or commit,
        "troubles": "",
        "retryable": False,
        "accepted": [commit],
        "older": [],
        "deadline": 0.0,
    }
    made.update(changes)  # type: ignore[typeddict-item]
    return made


def test_ready_returns_commit_and_revision(repository: Repository) -> None:
    assert resume(sensor("c1"), event("ready", "c1", "c2")) == {"commit": "c1", "revision": "c2"}


@pytest.mark.parametrize(
    ("state", "changes", "error"),
    [
        ("failed", {}, RolloutFailed),
        ("timeout", {}, RolloutTimeout),
        ("error", {"retryable": False}, ClusterError),
        ("error", {"retryable": True}, ClusterUnavailable),
    ],
)
def test_failure_is_typed_and_its_reason_handed_on(
    repository: Repository, state: End, changes: dict[str, Any], error: type[Exception]
) -> None:
    commit, ti = pinned(repository, 1), Pushed()
    with pytest.raises(error, match="no progress") as failed:
        resume(sensor(commit), event(state, commit, **changes), ti)
    assert ti["failure"] == str(failed.value)


def test_newer_version_in_git_ends_the_run_without_a_verdict(repository: Repository) -> None:
    commit = pinned(repository, 1)
    pinned(repository, 7)
    with pytest.raises(AirflowSkipException, match="Superseded"):
        resume(sensor(commit), event("failed", commit))


def test_other_code_in_git_ends_the_run_without_a_verdict_too(repository: Repository) -> None:
    commit = pinned(repository, 1)
    task = sensor(commit)
    task.code_commit = "a" * 40
    repository.write(repository.text().replace('codeCommit: ""', f'codeCommit: "{"b" * 40}"'))
    with pytest.raises(
        AirflowSkipException, match="pins version 1 with the code of bbbbbbbbbbbb, not with that of aaa"
    ):
        resume(task, event("failed", commit))
    task.code_commit = "b" * 40
    with pytest.raises(RolloutFailed):
        resume(task, event("failed", commit))


def test_revision_of_others_is_looked_up_in_git_and_watched_on(repository: Repository) -> None:
    before = repository.tip
    commit = pinned(repository, 1)
    later = repository.write("hello\n", "README.md")
    for revision, key in ((later, "accepted"), (before, "older")):
        with pytest.raises(TaskDeferred) as deferred:
            resume(sensor(commit), event("other", commit, revision))
        assert revision in deferred.value.trigger.serialize()[1][key]


def test_commit_that_was_pushed_away_fails_with_the_reason(repository: Repository) -> None:
    pinned(repository, 1)
    with pytest.raises(RolloutFailed, match="is not on the branch 'main'"):
        resume(sensor("f" * 40), event("other", "f" * 40, repository.tip))
