"""The way back, on a real repository: what is committed, and what the task then says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from lifecycle.errors import RolloutFailed, RolloutReverted
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, End, RegisteredVersion, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.operators.restore import RestoreOperator
from lifecycle.steps import handoff, proof

from tests.support.airflow_connections import Connect
from tests.support.release_repository import CODE, Repository

TARGET = Target("staging", "detector", "digits")
FIRST, SECOND = Pin(1, "a" * 64, "r1"), Pin(2, "b" * 64, "r2")


@dataclass
class Xcom:
    """A task instance, as far as the operator asks it."""

    values: dict[tuple[str, str], Any] = field(default_factory=dict)

    def xcom_pull(self, task_ids: Any, key: str = "return_value") -> Any:
        if isinstance(task_ids, str):
            return self.values.get((task_ids, key))
        return [self.values[(task, key)] for task in task_ids if (task, key) in self.values]


@pytest.fixture
def repository(tmp_path: Path, connect: Connect) -> Repository:
    made = Repository(tmp_path, "digits-detector")
    connect("kubernetes_default", {"conn_type": "kubernetes"}, GITOPS_URL=made.bare.as_uri())
    return made


def promote(pin: Pin, run: str) -> DeliveredCommit:
    registered: RegisteredVersion = {**pin.version_xcom(), "dataset_digest": "d" * 64}
    return handoff.promote(TARGET, "digits-detector", registered, dag_run=f"digits/{run}")


def failed_run(promoted: DeliveredCommit | None) -> Any:
    """The context of `restore` after a rollout that failed."""
    ti = Xcom({("promote", "return_value"): promoted, ("wait_for_rollout", "failure"): "Argo CD says no progress."})
    return {"ti": ti, "dag_run": SimpleNamespace(dag_id="digits", run_id="run-2")}


def operator() -> RestoreOperator:
    return RestoreOperator(
        task_id="restore", environment="staging", app="detector", model="digits", registered_model="digits-detector"
    )


def event(state: End, commit: str) -> RolloutEvent:
    return {
        "state": state,
        "message": "no progress",
        "revision": commit,
        "troubles": "",
        "retryable": False,
        "accepted": [commit],
        "older": [],
        "deadline": 0.0,
    }


def test_the_former_version_is_committed_and_waited_for(repository: Repository) -> None:
    promote(FIRST, "run-1")
    before, promoted = repository.text(), promote(SECOND, "run-2")
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(failed_run(promoted))
    assert repository.text() == before
    assert f"Reverts: {promoted['commit']}" in repository.message()
    assert deferred.value.trigger.serialize()[1]["accepted"] == [repository.tip]


@pytest.mark.parametrize("promoted", [None, {"ours": False}])
def test_a_run_that_changed_nothing_takes_nothing_back(repository: Repository, promoted: Any) -> None:
    before = repository.tip
    with pytest.raises(AirflowSkipException):
        operator().execute(failed_run(promoted))
    assert repository.tip == before


def test_both_facts_are_told_once_the_former_version_answers(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(FIRST, "run-1")
    promoted, asked = promote(SECOND, "run-2"), []
    monkeypatch.setattr(proof, "prove_identity", lambda target, pin: asked.append((target, pin)))
    with pytest.raises(RolloutReverted) as told:
        operator().resume(failed_run(promoted), event("ready", "c3"))
    assert asked == [(TARGET, replace(FIRST, code_commit=repository.code))]
    assert str(told.value) == (
        f"Version 2 of digits-detector (commit {promoted['commit']}) did not go live: Argo CD says no progress. The "
        f"former digits-detector version 1 is back and answers (commit c3, which reverts {promoted['commit']})."
    )


def test_two_releases_of_one_version_are_told_apart_by_their_code(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(FIRST, "run-1")
    newer = repository.write("# newer\n", CODE)
    promoted = promote(FIRST, "run-2")
    monkeypatch.setattr(proof, "prove_identity", lambda target, pin: None)
    with pytest.raises(RolloutReverted) as told:
        operator().resume(failed_run(promoted), event("ready", "c3"))
    assert str(told.value).startswith(f"Version 1 with the code of {newer[:12]} of digits-detector (commit ")
    assert f"The former digits-detector version 1 with the code of {repository.code[:12]} is back" in str(told.value)


def test_where_nothing_was_live_before_no_server_may_be_left(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = promote(FIRST, "run-1")
    monkeypatch.setattr(proof, "prove_absent", lambda target: None)
    with pytest.raises(RolloutReverted, match="Nothing was live before, and no server is left"):
        operator().resume(failed_run(promoted), event("ready", "c3"))


@pytest.mark.parametrize("state", ["timeout", "failed", "ready"])
def test_a_former_version_that_does_not_answer_is_told_with_the_reason(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, state: End
) -> None:
    promote(FIRST, "run-1")
    promoted = promote(SECOND, "run-2")

    def does_not_answer(target: Target, pin: Pin) -> None:
        raise RolloutFailed("no progress at all")

    monkeypatch.setattr(proof, "prove_identity", does_not_answer)
    with pytest.raises(
        RolloutReverted, match=r"pins the former version 1 again, and it is not known to answer.*no prog"
    ):
        operator().resume(failed_run(promoted), event(state, "c3"))
