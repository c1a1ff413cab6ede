"""The git-sync stand-in against real repositories."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.tests.support import ROOT

PROGRAM = ROOT / "sandbox" / "images" / "git-sync" / "git-sync"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "one")
    return folder


def commit(folder: Path, content: str) -> str:
    (folder / "file").write_text(content)
    git(folder, "add", "file")
    git(folder, "commit", "-qm", content)
    return git(folder, "rev-parse", "HEAD")


def command(*flags: str) -> list[str]:
    return [sys.executable, str(PROGRAM), *flags]


def environment(remote: Path | str, root: Path, **more: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("GITSYNC_")}
    settings = {"GITSYNC_REPO": str(remote), "GITSYNC_ROOT": str(root), "GITSYNC_LINK": "repo", "GITSYNC_REF": "main"}
    return {**env, **settings, **more}


def once(remote: Path | str, root: Path, *flags: str, **more: str) -> tuple[int, str]:
    env = environment(remote, root, GITSYNC_ONE_TIME="true", **more)
    done = subprocess.run(command(*flags), env=env, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def test_publishes_a_worktree_behind_a_link(remote: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = git(remote, "rev-parse", "HEAD")
    assert once(remote, root)[0] == 0
    assert (root / "repo").readlink() == Path(".worktrees") / first
    assert (root / "repo" / "file").read_text() == "one"
    second = commit(remote, "two")
    assert once(remote, root)[0] == 0
    assert (root / "repo" / "file").read_text() == "two"
    assert [entry.name for entry in (root / ".worktrees").iterdir()] == [second]
    # A commit by its hash, and the default name of the link.
    assert once(remote, root, GITSYNC_REF=first, GITSYNC_LINK="")[0] == 0
    assert (root / "remote" / "file").read_text() == "one"


def test_follows_the_reference_until_it_is_stopped(remote: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    env = environment(remote, root, GITSYNC_PERIOD="100ms")
    process = subprocess.Popen(command(), env=env, stderr=subprocess.PIPE, text=True)
    try:
        for content in ("one", "two"):
            end = time.monotonic() + 10
            while not (root / "repo").is_dir() or (root / "repo" / "file").read_text() != content:
                assert time.monotonic() < end, f"{content!r} was not published"
                time.sleep(0.05)
            if content == "one":
                commit(remote, "two")
        process.terminate()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_a_commit_is_checked_out_once_and_for_all(remote: Path, tmp_path: Path) -> None:
    root, first = tmp_path / "root", git(remote, "rev-parse", "HEAD")
    commit(remote, "two")
    env = environment(remote, root, GITSYNC_PERIOD="10ms", GITSYNC_REF=first)
    process = subprocess.Popen(command(), env=env, stderr=subprocess.PIPE, text=True)
    try:
        lines = [process.stderr.readline() for _ in range(2)] if process.stderr else []
        assert "no further sync is needed" in lines[-1] and (root / "repo" / "file").read_text() == "one"
        process.terminate()
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)
    # With a depth, the remote is asked also for what is there: without it, there is no sync.
    remote.rename(tmp_path / "gone")
    assert once(remote, root, GITSYNC_REF=first)[0] == 1


def test_gives_up_after_the_failures_that_it_may_have(tmp_path: Path) -> None:
    code, text = once(tmp_path / "nowhere", tmp_path / "root", GITSYNC_MAX_FAILURES="2", GITSYNC_PERIOD="10ms")
    assert code == 1 and text.count("ERROR: git fetch") == 2 and "too many failures" in text


@pytest.mark.parametrize(
    ("flags", "more", "text"),
    [
        (("--depth=1",), {}, "flags are not supported"),
        ((), {"GITSYNC_EXECHOOK_COMMAND": "x"}, "GITSYNC_EXECHOOK_COMMAND"),
        ((), {"GITSYNC_SUBMODULES": "shallow"}, "submodules are not supported"),
        ((), {"GITSYNC_PERIOD": "10"}, "GITSYNC_PERIOD must be a duration"),
        ((), {"GITSYNC_DEPTH": "x"}, "GITSYNC_DEPTH must be a whole number"),
        ((), {"GITSYNC_REPO": ""}, "GITSYNC_REPO"),
    ],
)
def test_refuses_what_it_does_not_do(
    remote: Path, tmp_path: Path, flags: tuple[str, ...], more: dict[str, str], text: str
) -> None:
    code, said = once(remote, tmp_path / "root", *flags, **more)
    assert code == 1 and text in said
    assert not (tmp_path / "root").exists()


def test_a_repository_with_submodules_needs_them_off(remote: Path, tmp_path: Path) -> None:
    (remote / ".gitmodules").write_text("")
    git(remote, "add", ".gitmodules")
    commit(remote, "with submodules")
    code, text = once(remote, tmp_path / "root")
    assert code == 1 and "GITSYNC_SUBMODULES=off" in text
    assert once(remote, tmp_path / "root", GITSYNC_SUBMODULES="off")[0] == 0
