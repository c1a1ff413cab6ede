"""The repository as Argo CD sees it: the remote branch, read with the credentials that cluster-up gets."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cluster.errors import ClusterError, KubectlError
from cluster.kubectl import Kubectl
from cluster.settings import ROOT, Settings

COMMIT = re.compile(r"[0-9a-f]{40}")
# git asks it for what the URL needs; the token is in the environment and on no command line.
HELPER = '!f() { echo "username=$CLUSTER_GIT_USERNAME"; echo "password=$CLUSTER_GIT_TOKEN"; }; f'


class RepositoryError(ClusterError):
    """The remote repository cannot be read."""


def reader(variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Name and token that only read, where such were given; else those that push; None: neither."""
    for prefix in ("GIT_READ", "GIT"):
        user, token = variables.get(f"{prefix}_USERNAME"), variables.get(f"{prefix}_TOKEN")
        if user and token:
            return user, token
    return None


def remembered(settings: Settings, kubectl: Kubectl, variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables and, for a private repository whose credentials are not among them, what Argo CD was given."""
    if not settings.on("repository.private") or reader(variables):
        return variables
    try:
        found = kubectl.secret("argocd", "repository") or {}
    except KubectlError:
        # No cluster yet, or no right to read it; the check says what follows.
        return variables
    return {
        **variables,
        "GIT_READ_USERNAME": found.get("username", ""),
        "GIT_READ_TOKEN": found.get("password", ""),
    }


class Repository:
    """The fork's remote."""

    def __init__(self, settings: Settings, variables: Mapping[str, str] = os.environ, root: Path = ROOT) -> None:
        self.url = settings.text("repository.url")
        self.branch = settings.text("repository.branch")
        self._root = root
        self._login = reader(variables) if settings.on("repository.private") else None

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run git in the checkout; whether it went well is for the caller to look at.

        Raises:
            RepositoryError: it took longer than a minute.
        """
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        options: list[str] = []
        if self._login:
            environment["CLUSTER_GIT_USERNAME"], environment["CLUSTER_GIT_TOKEN"] = self._login
            # The empty one forgets the helpers of this machine, which may know another user.
            options = ["-c", "credential.helper=", "-c", f"credential.helper={HELPER}"]
        try:
            return subprocess.run(
                ["git", *options, *arguments],
                cwd=self._root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
        except subprocess.TimeoutExpired as error:
            raise RepositoryError(f"{self.url} did not answer within a minute. Is it reachable from here?") from error

    def commit(self, revision: str = "") -> str:
        """The commit that a branch or tag (empty: the settings' branch) is at; a commit is itself.

        Raises:
            RepositoryError: the remote cannot be read, or lacks it.
        """
        revision = revision or self.branch
        if COMMIT.fullmatch(revision):
            return revision
        done = self.git(
            "ls-remote", self.url, f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/tags/{revision}^{{}}"
        )
        if done.returncode:
            advice = (
                "Are GIT_READ_USERNAME and GIT_READ_TOKEN (or GIT_USERNAME and GIT_TOKEN) right?"
                if self._login
                else "For a private repository set repository.private = true and export GIT_USERNAME and GIT_TOKEN, or "
                "correct repository.url."
            )
            raise RepositoryError(f"{self.url} cannot be read from here: {' '.join(done.stderr.split())} {advice}")
        # A tag's commit comes after the tag itself.
        found = [line.split()[0] for line in done.stdout.splitlines()]
        if not found:
            raise RepositoryError(f"{self.url} has no branch {revision}. Push it, or correct repository.branch.")
        return found[-1]

    def files(self) -> list[str]:
        """Every file below argocd-apps/ on the remote branch.

        Raises:
            RepositoryError: it cannot be read.
        """
        head = self.commit()
        if self.git("cat-file", "-e", f"{head}^{{commit}}").returncode:
            done = self.git("fetch", "--quiet", "--no-tags", self.url, f"refs/heads/{self.branch}")
            if done.returncode:
                raise RepositoryError(f"{self.url} cannot be fetched: {' '.join(done.stderr.split())}")
        return self.git("ls-tree", "-r", "--name-only", head, "argocd-apps/").stdout.splitlines()

    def apps(self) -> set[str]:
        """Every `<environment>/<app>` that the remote branch has a folder for.

        Raises:
            RepositoryError: it cannot be read.
        """
        found = [re.fullmatch(r"argocd-apps/([^/]+/[^/]+)/values\.yaml", path) for path in self.files()]
        return {match[1] for match in found if match}
