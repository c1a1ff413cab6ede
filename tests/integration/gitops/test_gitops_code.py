"""Which commit of the serving code a release pins, on real repositories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lifecycle.gitops.remote.clone import Clone

from tests.integration.gitops.support import Remote, bump, git, pin, values

CODE = "model_repository/yolo/1/model.py"


def code_line(remote: Remote) -> str:
    (line,) = (line.strip() for line in remote.text().splitlines() if "codeCommit" in line and "candidate" not in line)
    return line


def test_a_release_pins_the_newest_commit_that_touched_the_code_however_far_back(remote: Remote) -> None:
    first = remote.write("# first", CODE)
    second = remote.write("# second", CODE)
    for number in range(70):  # more than what is fetched at first
        git(remote.person, "commit", "-q", "--allow-empty", "-m", f"no code {number}")
    git(remote.person, "push", "-q", "origin", "HEAD:main")
    # What the bump says of the code does not count, and later looks need not reach as far back.
    delivery = remote.gitops(search_depth=5).deliver(
        bump(1, run="r1", newest_code=True, pin=replace(pin(1), code_commit=first))
    )
    assert (delivery.outcome, delivery.pin) == ("pushed", replace(pin(1), code_commit=second))
    assert remote.gitops().read("sandbox", "detector", "m0")[0].pin == delivery.pin
    assert code_line(remote) == f'codeCommit: "{second}"', "a file from before gets the line"
    assert f"Code-Commit: {second}" in remote.message().splitlines()

    third = remote.write("# third", CODE)
    again = remote.gitops().deliver(bump(1, run="r2", newest_code=True))
    assert (again.outcome, again.pin.code_commit, again.former) == ("pushed", third, delivery.pin)
    back = remote.gitops().deliver(replace(bump(1, run="r2", kind="restore", reverts=again.commit), pin=delivery.pin))
    assert (back.outcome, code_line(remote)) == ("pushed", f'codeCommit: "{second}"')


def test_code_that_a_merge_brings_is_pinned_as_the_merge(remote: Remote) -> None:
    remote.write("# first", CODE)
    git(remote.person, "checkout", "-q", "-b", "feature")
    (remote.person / CODE).write_text("# second")
    git(remote.person, "commit", "-qam", "On a branch")
    git(remote.person, "checkout", "-q", "main")
    git(remote.person, "reset", "-q", "--hard", "origin/main")
    git(remote.person, "merge", "-q", "--no-ff", "-m", "Reviewed", "feature")
    git(remote.person, "push", "-q", "origin", "HEAD:main")
    merged = remote.head()
    remote.write("replicas: 2\n", "argocd-apps/sandbox/environment.yaml")
    assert remote.gitops().deliver(bump(1, run="r1", newest_code=True)).pin.code_commit == merged


def test_a_repository_without_code_leaves_the_pin_without_a_commit(remote: Remote) -> None:
    delivery = remote.gitops().deliver(bump(1, run="r1", newest_code=True))
    assert (delivery.outcome, delivery.pin) == ("pushed", pin(1)) and "codeCommit" not in remote.text()
    remote.write("# first", CODE)
    git(remote.person, "rm", "-qr", "model_repository")
    git(remote.person, "commit", "-qm", "The code moves elsewhere")
    git(remote.person, "push", "-q", "origin", "HEAD:main")
    assert remote.gitops().deliver(bump(2, run="r2", newest_code=True)).pin == pin(2)


def test_a_retry_finds_its_own_commit_and_the_code_that_it_chose(remote: Remote) -> None:
    first = remote.write("# first", CODE)
    done = remote.gitops().deliver(bump(1, run="r1", newest_code=True))
    second = remote.write("# second", CODE)
    again = remote.gitops().deliver(bump(1, run="r1", newest_code=True))
    assert (again.outcome, again.commit, again.pin.code_commit) == ("already_there", done.commit, first)
    # A person who asks for other code with the same version in the same run means another commit.
    wanted = bump(1, run="r1", pin=replace(pin(1), code_commit=second), kind="promote")
    assert remote.gitops().deliver(wanted).outcome == "pushed" and second in remote.text()


def test_the_candidate_s_code_goes_live_with_it_whatever_was_pushed_since(remote: Remote) -> None:
    remote.write(values().replace("    hold", '    codeCommit: ""\n    hold'))
    first = remote.write("# first", CODE)
    tried = remote.gitops().deliver(bump(1, run="r1", kind="candidate", newest_code=True))
    assert f'codeCommit: "{first}"}}' in remote.text() and code_line(remote) == 'codeCommit: ""'
    remote.write("# second", CODE)
    live = remote.gitops().deliver(bump(1, run="r1", pin=tried.pin))
    assert live.outcome == "pushed" and "candidate" not in remote.text()
    assert code_line(remote) == f'codeCommit: "{first}"'


def test_code_that_is_pushed_just_before_the_release_is_part_of_it(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.write("# first", CODE)
    pushed: list[str] = []
    push = Clone.push

    def faster(clone: Clone, commit: str, **where: Any) -> None:
        if not pushed:
            pushed.append(remote.write("# second", CODE))
        push(clone, commit, **where)

    monkeypatch.setattr(Clone, "push", faster)
    delivery = remote.gitops().deliver(bump(1, run="r1", newest_code=True))
    assert (delivery.outcome, [delivery.pin.code_commit]) == ("pushed", pushed)
    assert code_line(remote) == f'codeCommit: "{pushed[0]}"'
