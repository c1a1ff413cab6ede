"""What every test of the handoff starts from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.gitops.support import FILE, PLUGINS, Remote, git, values


@pytest.fixture(autouse=True)
def _only_our_git_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No git settings of the machine or the user may decide a test; temporary files stay in the test's folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "person@example.com")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def make_remote(tmp_path: Path) -> Callable[..., Remote]:
    def make(text: str | None = None, name: str = "gitops") -> Remote:
        bare, person = tmp_path / f"{name}.git", tmp_path / f"{name}-person"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        git(bare, "config", "uploadpack.allowFilter", "true")
        subprocess.run(["git", "clone", "-q", str(bare), str(person)], check=True, capture_output=True)
        target = person / FILE
        target.parent.mkdir(parents=True)
        target.write_text(values() if text is None else text)
        (person / "README.md").write_text("A GitOps repository.\n")
        git(person, "add", "-A")
        git(person, "commit", "-q", "-m", "The first commit")
        git(person, "push", "-q", "origin", "HEAD:main")
        return Remote(bare, person)

    return make


@pytest.fixture
def remote(make_remote: Callable[..., Remote]) -> Remote:
    return make_remote()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs that import the package, in sessions of their own, and ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
        paths = f"{PLUGINS}{os.pathsep}{PLUGINS.parent}"
        process = subprocess.Popen(
            [*prefix, sys.executable, "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": paths, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
