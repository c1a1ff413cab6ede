"""What becomes of a rollout that fails, takes too long, is overtaken, or is seen only in a later commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.hand import Hand
from tests.integration.airflow.servers import one_line
from tests.support.processes import until
from tests.support.release_repository import git

WORDS = 'Deployment "detector-digits" exceeded its progress deadline'


def after_promotion(platform: Platform, version: int, act: Callable[[Hand], None]) -> threading.Thread:
    """Do something as soon as the branch pins a version, while Argo CD looks away."""
    platform.hand.paused.set()

    def watch() -> None:
        until(f"version {version} in git", lambda: platform.repository.pin()["version"] == version)
        act(platform.hand)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_degraded_rollout_brings_the_former_version_back_and_fails(released: Platform, run: Run) -> None:
    platform = released
    before, first = platform.repository.text(), platform.repository.tip
    platform.hand.broken[2] = WORDS
    ended = run(**platform.params())
    assert ended.state == "failed"
    wanted = {"promote": "success", "wait_for_rollout": "failed", "verify_serving": "upstream_failed"}
    assert {task: ended.tasks[task] for task in wanted} == wanted
    assert (ended.tasks["restore"], ended.tries["wait_for_rollout"], ended.tries["restore"]) == ("failed", 1, 1)
    assert platform.repository.text() == before
    promoted = ended.pull("promote")["commit"]
    assert f"Reverts: {promoted}" in platform.repository.message()
    assert platform.repository.tip not in (first, promoted)
    assert (platform.served.version, platform.alias()) == (1, "1")
    said = one_line(ended.text)
    assert f"Version 2 of {platform.model} (commit {promoted}) did not go live" in said
    assert WORDS in said
    assert f"The former {platform.model} version 1 is back and answers" in said


@pytest.mark.extended
def test_degraded_first_rollout_leaves_no_server(platform: Platform, run: Run) -> None:
    platform.hand.broken[1] = WORDS
    ended = run(**platform.params())
    assert (ended.state, ended.tasks["restore"]) == ("failed", "failed")
    assert platform.repository.pin()["version"] is None
    assert "Nothing was live before, and no server is left" in one_line(ended.text)


def test_server_with_wrong_boxes_is_taken_back(released: Platform, run: Run) -> None:
    platform = released
    right, platform.served.detection = platform.served.detection, [30.0, 30.0, 60.0, 60.0, 0.9, 1.0]
    try:
        ended = run(**platform.params())
    finally:
        platform.served.detection = right
    assert ended.state == "failed"
    assert [ended.tasks[task] for task in ("wait_for_rollout", "verify_serving", "restore")] == [
        "success",
        "failed",
        "failed",
    ]
    assert ended.tries["verify_serving"] == 1
    assert (platform.repository.pin()["version"], platform.served.version, platform.alias()) == (1, 1, "1")
    assert "the trained model finds class 1" in one_line(ended.text)


@pytest.mark.extended
def test_time_limit_names_what_was_waited_for(platform: Platform, run: Run, configure: Callable[..., None]) -> None:
    configure(ROLLOUT_TIMEOUT=5)
    resume = after_promotion(platform, 1, lambda hand: None)
    ended = run(**platform.params())
    resume.join()
    assert ended.tasks["wait_for_rollout"] == "failed"
    commit = ended.pull("promote")["commit"]
    said = one_line(ended.text)
    assert f"Gave up waiting for the Application staging-detector at commit {commit}" in said
    assert "Argo CD is still at revision" in said


@pytest.mark.extended
def test_rollout_seen_in_a_later_commit_of_somebody_else_counts(platform: Platform, run: Run) -> None:
    def edit(hand: Hand) -> None:
        platform.repository.write("hello\n", "README.md")
        hand.paused.clear()

    resume = after_promotion(platform, 1, edit)
    ended = run(**platform.params())
    resume.join()
    assert ended.state == "success", ended.text[-5000:]
    assert ended.pull("wait_for_rollout")["revision"] == platform.repository.tip != ended.pull("promote")["commit"]


@pytest.mark.extended
def test_run_that_was_overtaken_leaves_the_word_to_the_other(platform: Platform, run: Run) -> None:
    def overtake(hand: Hand) -> None:
        platform.repository.write(platform.repository.text().replace("version: 1\n", "version: 7\n"))
        hand.paused.clear()

    resume = after_promotion(platform, 1, overtake)
    ended = run(**platform.params())
    resume.join()
    assert ended.state == "success"
    assert [ended.tasks[task] for task in ("promote", "wait_for_rollout", "verify_serving", "restore")] == [
        "success",
        *["skipped"] * 3,
    ]
    assert "Superseded" in ended.text
    assert platform.repository.pin()["version"] == 7


def test_commit_that_was_pushed_away_fails_with_the_reason(platform: Platform, run: Run) -> None:
    repository, before = platform.repository, platform.repository.tip

    def rewrite(hand: Hand) -> None:
        text = repository.text()
        git("-C", str(repository.bare), "update-ref", "refs/heads/main", before)
        repository.write(text)  # the same pin on a history that does not hold the run's commit
        hand.paused.clear()

    resume = after_promotion(platform, 1, rewrite)
    ended = run(**platform.params())
    resume.join()
    assert (ended.state, ended.tasks["wait_for_rollout"]) == ("failed", "failed")
    assert "is not on the branch 'main'" in one_line(ended.text)
