"""The sandbox's git remote follows a fork's own branch, and keeps what the DAG committed when the checkout moves on."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.platform import config, gitremote

VALUES = "argocd-apps/staging/digits/values.yaml"
ENVIRONMENT = "argocd-apps/staging/environment.yaml"
ROOT_APPLICATION = """\
spec:
  source:
    repoURL: https://git.example.com/team/detector.git
    targetRevision: trunk
"""


def git(folder: Path, *arguments: str) -> str:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    return gitremote.git(*arguments, cwd=folder, variables=identity)


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "--message", f"write {name}")


@pytest.fixture
def fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fork's checkout, whose argocd-apps/ follows the branch trunk."""
    folder = tmp_path / "fork"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    write(folder, "argocd-apps/root.yaml", ROOT_APPLICATION)
    write(folder, VALUES, "version: null\n")
    write(folder, ENVIRONMENT, "replicas: 5\n")
    for module in (config, gitremote):
        monkeypatch.setattr(module, "REPOSITORY_ROOT", folder)
    return folder


def test_the_remote_has_the_forks_branch_and_keeps_what_the_dag_committed(fork: Path, tmp_path: Path) -> None:
    settings = config.Config(tmp_path / "home", 0, 0)
    settings.home.mkdir()
    bare = settings.bare_repository
    gitremote.prepare(settings)
    assert git(bare, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/trunk"

    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch=trunk", str(bare), str(clone))
    write(clone, VALUES, 'version: "7"\n')
    git(clone, "push", "--quiet", "origin", "trunk")
    write(fork, "charts/triton/Chart.yaml", "name: triton\n")
    tip = gitremote.prepare(settings)

    assert git(bare, "rev-parse", "trunk") == tip
    assert git(bare, "show", f"{tip}:{VALUES}") == 'version: "7"'
    assert git(bare, "show", f"{tip}:charts/triton/Chart.yaml") == "name: triton"


def test_every_environment_has_the_sandboxs_own_file_and_the_checkouts_stays_as_it_is(
    fork: Path, tmp_path: Path
) -> None:
    settings = config.Config(tmp_path / "home", 0, 0)
    settings.home.mkdir()
    first = gitremote.prepare(settings)
    assert gitremote.prepare(settings) == first, "nothing new, nothing committed"
    bare, sizes = settings.bare_repository, gitremote.SIZES.read_text().strip()
    assert gitremote.environments(settings) == ["staging"]
    assert git(bare, "show", f"trunk:{ENVIRONMENT}") == sizes
    assert git(bare, "rev-parse", "trunk^") == git(fork, "rev-parse", "HEAD"), "on top of the checkout's own history"
    write(fork, "argocd-apps/production/environment.yaml", "replicas: 9\n")
    write(fork, ENVIRONMENT, "replicas: 6\n")
    gitremote.prepare(settings)
    assert gitremote.environments(settings) == ["production", "staging"]
    for name in gitremote.environments(settings):
        assert git(bare, "show", f"trunk:argocd-apps/{name}/environment.yaml") == sizes
    assert (fork / ENVIRONMENT).read_text() == "replicas: 6\n"
