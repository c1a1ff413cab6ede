"""The end of a bad candidate, on a real repository: what is committed, and what the task then says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from lifecycle.errors import CandidateRefused, RolloutFailed
from lifecycle.model.pin import Pin
from lifecycle.model.results import DeliveredCommit, RegisteredVersion
from lifecycle.model.target import Target
from lifecycle.operators.discard import DiscardCandidateOperator
from lifecycle.steps import handoff, proof

from tests.support.airflow_connections import Connect
from tests.support.release_repository import Repository
from tests.unit.lifecycle.operators.test_restore import Xcom, event

TARGET = Target("staging", "detector", "digits")
LIVE, CANDIDATE = Pin(1, "a" * 64, "r1"), Pin(2, "b" * 64, "r2")
WHY = "7.png: the trained model finds class 1 and the served one does not."


@pytest.fixture
def repository(tmp_path: Path, connect: Connect) -> Repository:
    """One in which version 1 is live."""
    made = Repository(tmp_path, "digits-detector")
    connect("kubernetes_default", {"conn_type": "kubernetes"}, GITOPS_URL=made.bare.as_uri())
    handoff.promote(TARGET, "digits-detector", registered(LIVE), dag_run="yolo_lifecycle/run-1")
    return made


def registered(pin: Pin) -> RegisteredVersion:
    return {**pin.version_xcom(), "dataset_digest": "d" * 64}


def tried() -> DeliveredCommit:
    return handoff.try_candidate(TARGET, "digits-detector", registered(CANDIDATE), dag_run="yolo_lifecycle/run-2")


def failed_run(candidate: DeliveredCommit | None) -> Any:
    """The context of `discard_candidate` after a proof that failed."""
    ti = Xcom({("commit_candidate", "return_value"): candidate, ("prove_candidate", "failure"): WHY})
    return {"ti": ti, "dag_run": SimpleNamespace(dag_id="yolo_lifecycle", run_id="run-2")}


def operator() -> DiscardCandidateOperator:
    return DiscardCandidateOperator(
        task_id="discard_candidate",
        environment="staging",
        app="detector",
        model="digits",
        registered_model="digits-detector",
    )


def test_the_candidate_goes_by_one_commit_which_is_waited_for(repository: Repository) -> None:
    before = repository.text()
    candidate = tried()
    assert repository.text() != before
    with pytest.raises(TaskDeferred) as deferred:
        operator().execute(failed_run(candidate))
    assert repository.text() == before
    waits = deferred.value.trigger.serialize()[1]
    assert (waits["accepted"], waits["version"]) == ([repository.tip], None)


def test_a_run_without_a_candidate_takes_nothing_away(repository: Repository) -> None:
    before = repository.tip
    with pytest.raises(AirflowSkipException):
        operator().execute(failed_run(None))
    assert repository.tip == before


def test_a_candidate_that_another_run_replaced_is_left_alone(repository: Repository) -> None:
    candidate = tried()
    text = repository.text().replace("candidate: {version: 2,", "candidate: {version: 3,")
    before = repository.write(text)
    with pytest.raises(CandidateRefused, match="has version 3 as the candidate of digits by now, not version 2"):
        operator().execute(failed_run(candidate))
    assert repository.tip == before


def test_all_facts_are_told_once_the_server_is_gone(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Target] = []
    monkeypatch.setattr(proof, "prove_absent", asked.append)
    with pytest.raises(CandidateRefused) as told:
        operator().resume(failed_run(tried()), event("ready", "c3"))
    assert asked == [TARGET.as_candidate]
    assert str(told.value) == (
        f"The candidate version 2 of digits-detector did not go live: {WHY} Commit c3 took the candidate away, and its "
        "server is gone. What is live was not touched: version 1."
    )


@pytest.mark.parametrize("state", ["timeout", "ready"])
def test_a_server_that_stays_is_told_with_the_reason(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, state: Any
) -> None:
    def stays(target: Target) -> None:
        raise RolloutFailed("no progress at all")

    monkeypatch.setattr(proof, "prove_absent", stays)
    with pytest.raises(CandidateRefused, match=r"it is not known to be gone: .*no progress.* What is live was not"):
        operator().resume(failed_run(tried()), event(state, "c3"))
