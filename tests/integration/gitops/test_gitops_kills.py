"""Killed at any step and retried: one commit, one version, nothing left on the machine."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.gitops.support import Remote, bump, changed_lines, in_child, pin, values, wait_for

# Every git command of a delivery that pushes, in this order.
STEPS = (
    "init",
    "fetch",
    "rev-parse",
    "log",
    "ls-tree",
    "cat-file",
    "hash-object",
    "read-tree",
    "update-index",
    "write-tree",
    "commit-tree",
    "push",
)


def recorded(folder: Path, script: str) -> dict[str, str]:
    """Put a `git` into that folder, which runs the script around the real one; the PATH that finds it first."""
    folder.mkdir()
    wrapper = folder / "git"
    wrapper.write_text(f'#!/bin/sh\nreal() {{ {shutil.which("git")} "$@"; }}\n{script}\n')
    wrapper.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def deliver_and_die(remote: Remote, environment: dict[str, str], run: str = "r1") -> int:
    """The task's process; how it ended."""

    def task() -> None:
        os.environ.update(environment)
        remote.gitops().deliver(bump(1, run=run))

    return wait_for([in_child(task)])[0]


def check_once(remote: Remote, before: str, tmp_path: Path) -> None:
    """The retry leaves exactly one commit, the right file, the former version, and no folder."""
    retried = remote.gitops().deliver(bump(1, run="r1"))
    assert retried.outcome in ("pushed", "already_there")
    assert (retried.commit, retried.former) == (remote.head(), pin(None))
    assert len(remote.subjects()) == 2 and len(changed_lines(before, remote.text())) == 3
    assert len(changed_lines("\n".join(before.splitlines()), remote.text())) == 3
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_list_of_steps_is_complete(remote: Remote, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    environment = recorded(tmp_path / "bin", f'echo "$1" >> {seen}; real "$@"')
    assert deliver_and_die(remote, environment) == 0
    assert tuple(seen.read_text().split()) == STEPS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_and_retried(remote: Remote, tmp_path: Path, step: str, when: str) -> None:
    before = remote.text()
    around = {"before": "kill -9 $PPID; exit 1", "after": 'real "$@"; kill -9 $PPID; exit 1'}[when]
    environment = recorded(tmp_path / "bin", f'case "$1" in {step}) {around} ;; *) real "$@" ;; esac')
    assert deliver_and_die(remote, environment) == -signal.SIGKILL
    assert len(remote.subjects()) == (2 if (step, when) == ("push", "after") else 1)
    check_once(remote, before, tmp_path)


def test_killed_while_the_push_goes_on_without_it(remote: Remote, tmp_path: Path) -> None:
    """The orphaned push and the retry meet on the remote: one of them wins, and both mean the same commit."""
    before = remote.text()
    started = tmp_path / "started"
    remote.hook("pre-receive", f"test -e {started} || {{ touch {started}; sleep 1; }}")
    task = in_child(lambda: remote.gitops().deliver(bump(1, run="r1")))
    while not started.exists():
        time.sleep(0.01)
    os.kill(task, signal.SIGKILL)
    assert wait_for([task]) == [-signal.SIGKILL]
    check_once(remote, before, tmp_path)
    time.sleep(1.2)  # the orphan has ended by now
    assert len(remote.subjects()) == 2


def test_killed_after_the_push_while_others_move_the_file_on(
    make_remote: Callable[..., Remote], tmp_path: Path
) -> None:
    remote = make_remote(values(2))
    environment = recorded(tmp_path / "bin", 'real "$@"; test "$1" != push || kill -9 $PPID')
    assert deliver_and_die(remote, environment) == -signal.SIGKILL
    mine = remote.head()
    remote.gitops().deliver(bump(7, "m1", run="other"))
    remote.gitops().deliver(bump(2, "m0", run="newer"))
    retried = remote.gitops().deliver(bump(1, run="r1"))
    assert (retried.outcome, retried.commit, retried.former) == ("already_there", mine, pin(None))
    assert len(remote.subjects()) == 4 and "version: 2 " in remote.text()


def test_an_interrupted_task_ends_its_git_and_cleans_up(remote: Remote, tmp_path: Path) -> None:
    """Airflow stops a task by SIGTERM, which it turns into an exception."""
    pids = tmp_path / "pids"
    environment = recorded(tmp_path / "bin", f'test "$1" != fetch || {{ echo $$ > {pids}; sleep 60; }}; real "$@"')

    def task() -> None:
        os.environ.update(environment)
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        remote.gitops().deliver(bump(1, run="r1"))

    child = in_child(task)
    while not pids.exists() or not pids.read_text().strip():
        time.sleep(0.01)
    # Until the task knows of its git, too: an exception in the middle of Popen leaves it nothing to end.
    time.sleep(1)
    os.kill(child, signal.SIGTERM)
    assert wait_for([child], seconds=10) == [1]
    assert not Path(f"/proc/{pids.read_text().strip()}").exists()
    assert list((tmp_path / "tmp").iterdir()) == []
