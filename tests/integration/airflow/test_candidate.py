"""`proof: candidate` with Airflow's own task runner: proved first, then live; a bad one never gets there."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.integration.airflow.dag_runs import Finished, Platform, Run
from tests.integration.airflow.servers import WRONG, one_line
from tests.support.processes import until
from tests.support.release_repository import CODE, FILE, git

CANDIDATE = ("commit_candidate", "wait_for_candidate", "prove_candidate")
LIVE = ("promote", "wait_for_rollout", "verify_serving", "set_alias")
WORDS = 'Deployment "detector-digits-candidate" exceeded its progress deadline'


@pytest.fixture
def prove(run: Run, configure: Callable[..., None]) -> Run:
    """Runs with `proof: candidate`."""
    configure(PROOF="candidate")
    return run


def states(ended: Finished, *tasks: str) -> list[str]:
    return [ended.tasks[task] for task in tasks]


def commits(platform: Platform) -> list[str]:
    """Subjects of the branch's commits, the newest first."""
    return git("-C", str(platform.repository.bare), "log", "--format=%s", "main", "--", FILE).splitlines()


@pytest.mark.extended
def test_good_candidate_is_proved_beside_the_live_version_and_then_goes_live(platform: Platform, prove: Run) -> None:
    first = prove(**platform.params())
    assert first.state == "success", first.text[-5000:]
    # The live version is ill, and with it the Application: a release is what heals it.
    platform.hand.broken[1] = "detector-digits has no available pod"
    platform.hand.roll_out()
    # Code that comes while the candidate is under proof is not what was proved.
    thread = while_proving(platform, lambda: platform.repository.write("# newer\n", CODE))
    ended = prove(**platform.params())
    thread.join()
    assert ended.state == "success", ended.text[-5000:]
    assert platform.repository.pin()["codeCommit"] == platform.repository.code == platform.served.code_commit
    skipped = {task for task, state in ended.tasks.items() if state != "success"}
    assert skipped == {"restore", "discard_candidate"}
    model = platform.model
    assert [line.rsplit(" in ", 1)[0] for line in commits(platform)[:4]] == [
        f"Promote {model} 2",
        f"Prove {model} 2",
        f"Promote {model} 1",
        f"Prove {model} 1",
    ]
    assert "candidate" not in platform.repository.pin()
    assert (platform.repository.pin()["version"], platform.alias()) == (2, "2")
    tried, proved = ended.pull("commit_candidate"), ended.pull("prove_candidate")
    assert (tried["former"]["version"], proved["version"]) == (1, 2)
    assert proved["url"] == platform.candidate.url != ended.pull("verify_serving")["url"]
    assert (proved["images"], proved["matched"]) == (2, 2)
    metrics = platform.client.get_run(ended.pull("open_run")["run_id"]).data.metrics
    assert metrics["candidate/latency_ms"] == proved["latency_ms"] > 0
    assert metrics["candidate/live_latency_ms"] == proved["live_latency_ms"] > 0
    assert first.pull("prove_candidate")["live_latency_ms"] is None, "nothing was live to be compared with"


def test_candidate_with_wrong_boxes_goes_by_one_commit_and_live_is_not_touched(released: Platform, prove: Run) -> None:
    platform = released
    before, asked = platform.repository.text(), platform.served
    right, platform.candidate.detection = platform.candidate.detection, WRONG
    try:
        ended = prove(**platform.params())
    finally:
        platform.candidate.detection = right
    assert ended.state == "failed"
    assert states(ended, *CANDIDATE, "discard_candidate") == ["success", "success", "failed", "failed"]
    assert set(states(ended, *LIVE)) == {"upstream_failed"}
    assert ended.tasks["restore"] == "skipped", "nothing went live, so nothing comes back"
    assert (ended.tries["prove_candidate"], ended.tries["discard_candidate"]) == (1, 1)
    assert platform.repository.text() == before
    assert (asked.version, platform.alias(), platform.versions()) == (1, "1", [1, 2])
    gone, tip = one_line(ended.text), platform.repository.tip
    assert f"The candidate version 2 of {platform.model} did not go live: " in gone
    assert "the trained model finds class 1" in gone
    assert (
        f"Commit {tip} took the candidate away, and its server is gone. What is live was not touched: version 1."
        in gone
    )
    assert commits(platform)[0].startswith(f"Discard the candidate {platform.model} 2 in staging/detector")


@pytest.mark.extended
def test_candidate_that_does_not_start_goes_with_argo_cds_reason(released: Platform, prove: Run) -> None:
    platform = released
    before = platform.repository.text()
    platform.hand.broken[2] = WORDS
    ended = prove(**platform.params())
    assert states(ended, *CANDIDATE, "promote", "discard_candidate") == [
        *("success", "failed", "upstream_failed", "upstream_failed", "failed")
    ]
    assert (platform.repository.text(), platform.served.version) == (before, 1)
    assert WORDS in one_line(ended.text)


@pytest.mark.extended
def test_slow_candidate_is_refused_with_both_times(
    released: Platform, prove: Run, configure: Callable[..., None]
) -> None:
    platform = released
    configure(CANDIDATE_MAX_SLOWDOWN=0.0001)
    ended = prove(**platform.params())
    assert states(ended, "prove_candidate", "promote", "discard_candidate") == ["failed", "upstream_failed", "failed"]
    said = one_line(ended.text)
    assert "answers as in training, but it takes" in said and "at most 0.0001 times is allowed" in said
    assert (platform.repository.pin()["version"], "candidate" in platform.repository.pin()) == (1, False)


@pytest.mark.extended
def test_model_on_hold_gets_no_candidate(platform: Platform, prove: Run) -> None:
    before = platform.repository.write(platform.repository.text().replace("hold: false", "hold: true"))
    ended = prove(**platform.params())
    assert ended.state == "success"
    assert set(states(ended, *CANDIDATE, *LIVE, "discard_candidate")) == {"skipped"}
    assert "is on hold" in one_line(ended.text)
    assert platform.repository.tip == before


def while_proving(platform: Platform, act: Callable[[], object]) -> threading.Thread:
    """Do something once the candidate is on the branch, while Argo CD looks away."""
    platform.hand.paused.set()

    def watch() -> None:
        until("a candidate in git", lambda: "candidate" in platform.repository.pin())
        act()
        platform.hand.paused.clear()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.extended
def test_hold_set_during_the_proof_keeps_the_live_version_and_the_candidate_goes(
    platform: Platform, prove: Run
) -> None:
    repository = platform.repository

    def hold() -> None:
        repository.write(repository.text().replace("hold: false", "hold: true"))

    # By itself, Argo CD would not look again for minutes.
    platform.hand.on_request.set()
    thread = while_proving(platform, hold)
    ended = prove(**platform.params())
    thread.join()
    assert ended.state == "success"
    until("the candidate's pod is gone", lambda: not platform.hand.candidate_pods())
    assert states(ended, *CANDIDATE, "promote", "wait_for_rollout") == [*["success"] * 3, "skipped", "skipped"]
    assert (repository.pin()["version"], repository.pin()["hold"], "candidate" in repository.pin()) == (
        *(None, True, False),
    )


@pytest.mark.extended
def test_candidate_that_another_run_replaced_is_left_to_that_run(platform: Platform, prove: Run) -> None:
    repository = platform.repository

    def replace() -> None:
        repository.write(repository.text().replace("candidate: {version: 1,", "candidate: {version: 7,"))

    thread = while_proving(platform, replace)
    ended = prove(**platform.params())
    thread.join()
    assert ended.state == "success"
    assert states(ended, *CANDIDATE, "promote", "discard_candidate") == ["success", *["skipped"] * 4]
    assert repository.pin()["candidate"]["version"] == 7
    assert "Superseded" in ended.text and "pins the candidate version 7" in one_line(ended.text)


@pytest.mark.extended
def test_candidate_of_a_run_that_was_killed_is_replaced_with_a_sentence(platform: Platform, prove: Run) -> None:
    left = f'candidate: {{version: 1, sha256: "{"a" * 64}", runId: "killed"}}'
    text = platform.repository.text()
    platform.repository.write(text.replace("    hold", f"    {left}\n    hold"))
    platform.client.create_registered_model(platform.model)
    platform.client.create_model_version(platform.model, source="s3://lost/model")
    ended = prove(**platform.params())
    assert ended.state == "success", ended.text[-5000:]
    assert (platform.repository.pin()["version"], "candidate" in platform.repository.pin()) == (2, False)
    assert "It replaces the candidate version 1 of the MLflow run killed." in one_line(ended.text)
