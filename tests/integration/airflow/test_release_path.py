"""`yolo_release_path` with Airflow's own task runner: a folder of somebody else goes live, fails, and comes back."""

from __future__ import annotations

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support.release_repository import FILE, git

ENTRY = """\
models:
  # Somebody else's.
  - name: digits
    source: {{s3: {uri}}}
    hold: {hold}
"""
TARGET = {"environment": "staging", "app": "detector", "served_model": "digits"}
FIRST, SECOND, THIRD = (f"s3://models/zoo/densenet-{number}" for number in (1, 2, 3))


@pytest.fixture
def zoo(platform: Platform) -> Platform:
    """An entry that serves the first folder."""
    platform.repository.write(ENTRY.format(uri=FIRST, hold="false"))
    platform.hand.roll_out()
    return platform


def folder(platform: Platform) -> str:
    """What Git names."""
    return str(platform.repository.pin()["source"]["s3"])


def test_a_folder_goes_live_by_one_commit_and_without_a_name_the_former_comes_back(zoo: Platform, run: Run) -> None:
    ended = run("yolo_release_path", **TARGET, path=SECOND, reason="twice as fast")
    assert ended.state == "success", ended.text[-5000:]
    assert (folder(zoo), zoo.served.source) == (SECOND, SECOND)
    assert ended.pull("verify_serving")["uri"] == SECOND
    shown = git("-C", str(zoo.repository.bare), "show", "--format=", "--unified=0", "main", "--", FILE).splitlines()
    assert [line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
        f"-    source: {{s3: {FIRST}}}",
        f'+    source: {{s3: "{SECOND}"}}',
    ]
    assert "Reason: twice as fast" in zoo.repository.message().splitlines()

    back = run("yolo_release_path", **TARGET)
    assert back.state == "success", back.text[-5000:]
    assert (folder(zoo), zoo.served.source) == (FIRST, FIRST)


def test_a_folder_that_does_not_load_is_taken_back_and_told(zoo: Platform, run: Run) -> None:
    zoo.hand.broken_folders[THIRD] = "densenet: unable to find backend library"
    ended = run("yolo_release_path", **TARGET, path=THIRD)
    assert (ended.state, ended.tasks["wait_for_rollout"], ended.tasks["restore"]) == ("failed", "failed", "failed")
    assert "unable to find backend library" in one_line(ended.text)
    assert (folder(zoo), zoo.served.source) == (FIRST, FIRST)
    assert "Reverts: " in zoo.repository.message()


@pytest.mark.parametrize(
    ("path", "hold", "said"),
    [(FIRST, "false", "names s3://models/zoo/densenet-1 already"), (SECOND, "true", "is on hold at s3://models")],
)
def test_what_may_not_be_released_is_refused_before_a_commit(
    path: str, hold: str, said: str, zoo: Platform, run: Run
) -> None:
    before = zoo.repository.write(ENTRY.format(uri=FIRST, hold=hold) + "# a person's remark\n")
    ended = run("yolo_release_path", **TARGET, path=path)
    assert (ended.state, ended.tasks["choose_folder"], ended.tries["choose_folder"]) == ("failed", "failed", 1)
    assert said in one_line(ended.text)
    assert zoo.repository.tip == before
