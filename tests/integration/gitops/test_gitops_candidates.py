"""A candidate's commits on a real repository: beside the live pin, away with the decision, each made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lifecycle.gitops import BumpInvalid

from tests.integration.gitops.support import FILE, Remote, bump, git, in_child, pin, values, wait_for
from tests.integration.gitops.test_gitops_kills import recorded


def pinned(remote: Remote) -> tuple[int | None, int | None]:
    """(live, candidate)."""
    found, _ = remote.gitops().read("sandbox", "detector", "m0")
    return found.pin.version, found.candidate.version if found.candidate else None


def changed(remote: Remote) -> list[str]:
    """The keys of the lines that the last commit took away or wrote."""
    lines = git(remote.path, "show", "--format=", "--unified=0", "main", "--", FILE).splitlines()
    return [line[0] + line[1:].split(":")[0].strip() for line in lines if line[:1] in "+-" and line[1:2] == " "]


def test_a_candidate_is_one_line_and_goes_with_the_promotion(remote: Remote) -> None:
    remote.gitops().deliver(bump(1, run="r1"))
    live = remote.text()
    tried = remote.gitops().deliver(bump(2, run="r2", kind="candidate"))
    assert (tried.outcome, tried.commit, tried.former) == ("pushed", remote.head(), pin(1))
    assert (pinned(remote), changed(remote)) == ((1, 2), ["+candidate"])
    assert "It is a candidate beside the live version 1: no client reaches it." in remote.message()
    assert "Delivery: candidate sandbox/detector/m0" in remote.message().splitlines()

    moved = remote.gitops().deliver(bump(2, run="r2"))
    assert (moved.outcome, moved.former) == ("pushed", pin(1))
    assert pinned(remote) == (2, None)
    assert sorted(changed(remote)) == sorted(
        [*(f"{sign}{key}" for sign in "+-" for key in ("version", "sha256", "runId")), "-candidate"]
    )
    assert remote.gitops().deliver(bump(1, run="back", kind="rollback")).outcome == "pushed"
    assert remote.text() == live


def test_a_refused_candidate_goes_by_one_commit_and_the_live_pin_was_never_touched(remote: Remote) -> None:
    remote.gitops().deliver(bump(1, run="r1"))
    before = remote.text()
    remote.gitops().deliver(bump(2, run="r2", kind="candidate"))
    gone = remote.gitops().deliver(bump(2, run="r2", kind="discard"))
    assert (gone.outcome, gone.former, changed(remote)) == ("pushed", pin(1), ["-candidate"])
    assert remote.text() == before
    assert "The live version 1 is not touched." in remote.message()
    head = remote.head()
    assert remote.gitops().deliver(bump(2, run="r2", kind="discard")).outcome == "already_there"
    assert remote.head() == head


@pytest.mark.parametrize("kind", ["candidate", "discard", "promote"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_its_push_and_retried_leaves_one_commit(
    remote: Remote, tmp_path: Path, kind: str, when: str
) -> None:
    remote.gitops().deliver(bump(1, run="r1"))
    if kind != "candidate":
        remote.gitops().deliver(bump(2, run="r2", kind="candidate"))
    commits = len(remote.subjects())
    around = {"before": "kill -9 $PPID; exit 1", "after": 'real "$@"; kill -9 $PPID; exit 1'}[when]
    environment = recorded(tmp_path / "bin", f'case "$1" in push) {around} ;; *) real "$@" ;; esac')

    def task() -> None:
        os.environ.update(environment)
        remote.gitops().deliver(bump(2, run="r2", kind=kind))

    assert wait_for([in_child(task)])[0] < 0
    retried = remote.gitops().deliver(bump(2, run="r2", kind=kind))
    assert retried.outcome == ("already_there" if when == "after" else "pushed")
    assert (retried.commit, retried.former) == (remote.head(), pin(1))
    assert len(remote.subjects()) == commits + 1
    assert pinned(remote) == {"candidate": (1, 2), "discard": (1, None), "promote": (2, None)}[kind]


def test_a_killed_runs_candidate_is_replaced_and_the_commit_says_so(remote: Remote) -> None:
    remote.gitops().deliver(bump(1, run="killed", kind="candidate"))
    replaced = remote.gitops().deliver(bump(2, run="r2", kind="candidate"))
    said = f"It replaces the candidate version 1 of the MLflow run {1:032x}."
    assert (replaced.outcome, pinned(remote)) == ("pushed", (None, 2))
    assert said in replaced.detail and said in remote.message()
    # The killed run wakes up: the other run's candidate is not its own to take away, and not its own to replace.
    head = remote.head()
    assert remote.gitops().deliver(bump(1, run="killed", kind="discard")).outcome == "superseded"
    again = remote.gitops().deliver(bump(1, run="killed", kind="candidate"))
    assert again.outcome == "already_there" and remote.head() == head, "its commit was made, and is not made again"
    other = remote.gitops().deliver(bump(1, run="third", kind="candidate"))
    assert (other.outcome, remote.head()) == ("superseded", head)
    assert "newer version 2 of m0 is under proof as another run's candidate" in other.detail


def test_a_hold_stops_the_candidate_and_the_promotion_and_lets_the_own_candidate_go(remote: Remote) -> None:
    remote.gitops().deliver(bump(2, run="r2", kind="candidate"))
    remote.write(remote.text().replace("hold: false", "hold: true"))
    held = remote.gitops().deliver(bump(3, run="r3", kind="candidate"))
    assert held.outcome == "held" and "only a person bumps it" in held.detail
    assert remote.gitops().deliver(bump(2, run="r2")).outcome == "held"
    assert pinned(remote) == (None, 2)
    assert remote.gitops().deliver(bump(2, run="r2", kind="discard")).outcome == "pushed"
    assert remote.text() == values().replace("hold: false", "hold: true")


def test_the_history_is_that_of_what_was_live(remote: Remote) -> None:
    for version in (1, 2):
        remote.gitops().deliver(bump(version, run=f"r{version}", kind="candidate"))
        remote.gitops().deliver(bump(version, run=f"r{version}"))
    found = remote.gitops().history("sandbox", "detector", "m0")
    assert [revision.model.pin.version for revision in found] == [2, 1, None]
    assert [revision.subject.split()[0] for revision in found[:2]] == ["Promote", "Promote"]


def test_a_candidate_without_a_version_is_refused(remote: Remote) -> None:
    with pytest.raises(BumpInvalid, match="a candidate must have a version"):
        remote.gitops().deliver(bump(None, kind="candidate"))
