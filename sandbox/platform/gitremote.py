"""The sandbox's git remote: a bare repository made from this checkout's HEAD.

The versions that the DAG commits live only there; a later `up` brings newer commits of the checkout in by a merge that
keeps those files as the remote has them. As a cluster's own fork would, the remote has environments of the machine's
size: environment.yaml of this folder stands in place of each one of the checkout.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from .config import REPOSITORY_ROOT, Config, SandboxError, repository_branch, repository_url

BUMPED = "argocd-apps/*/*/values.yaml"
ENVIRONMENTS = re.compile(r"argocd-apps/([^/]+)/environment\.yaml")
SIZES = Path(__file__).with_name("environment.yaml")


def git(*arguments: str, cwd: Path, variables: dict[str, str] | None = None, data: str | None = None) -> str:
    """Run git in a folder and return what it printed, stripped.

    Raises:
        SandboxError: git failed; its own words are in the message.
    """
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(variables or {})},
        input=data,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SandboxError(f"`git {' '.join(arguments)}` failed in {cwd}: {done.stderr.strip()}")
    return done.stdout.strip()


def prepare(config: Config) -> str:
    """Make or update the bare repository; return the commit at its branch's tip."""
    bare, branch = config.bare_repository, repository_branch()
    if not bare.exists():
        bare.parent.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(bare), cwd=bare.parent)
        # Partial clones are what the handoff makes, from this remote as from any hosted one.
        git("config", "uploadpack.allowFilter", "true", cwd=bare)
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=bare)
    config.gitconfig.write_text(
        f'[url "file://{bare}"]\n\tinsteadOf = {repository_url()}\n'
        "[safe]\n\tdirectory = *\n[user]\n\tname = sandbox\n\temail = sandbox@localhost\n"
    )
    try:
        head = git("rev-parse", "HEAD", cwd=REPOSITORY_ROOT)
    except SandboxError as error:
        raise SandboxError(
            f"{REPOSITORY_ROOT} is not a git checkout with a commit, and the sandbox deploys by Git: "
            "clone the repository (or `git init` and commit) and run again."
        ) from error
    git("fetch", "--quiet", "--no-tags", str(REPOSITORY_ROOT), f"+{head}:refs/checkout/HEAD", cwd=bare)
    tip = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", cwd=bare)
    if not tip:
        message = f"The sandbox's own environments, on the checkout's {head[:12]}"
        return _commit(config, head, [], message, [head], "")
    if not git("rev-list", "--max-count=1", head, f"^{tip}", cwd=bare):
        return tip
    return _merge(config, tip, head)


def _merge(config: Config, tip: str, head: str) -> str:
    """A merge commit with HEAD's tree, except the bumped files, which stay as the remote has them."""
    kept = git("ls-tree", "-r", tip, "--", "argocd-apps/", cwd=config.bare_repository)
    lines = [line for line in kept.splitlines() if line.endswith("/values.yaml")]
    message = f"Bring the checkout's {head[:12]} into the sandbox\n\nThe versions in {BUMPED} stay as they are."
    return _commit(config, head, lines, message, [tip, head], tip)


def _commit(config: Config, head: str, kept: list[str], message: str, parents: list[str], tip: str) -> str:
    """Commit HEAD's tree with the files that are kept (lines of ls-tree) and the sandbox's environments."""
    bare = config.bare_repository
    index = {"GIT_INDEX_FILE": str(bare / "import.index"), "GIT_CONFIG_GLOBAL": str(config.gitconfig)}
    git("read-tree", head, cwd=bare, variables=index)
    sizes = git("hash-object", "-w", str(SIZES), cwd=bare)
    own = [f"100644 {sizes} 0\targocd-apps/{name}/environment.yaml" for name in _environments(bare, head)]
    git("update-index", "--index-info", cwd=bare, variables=index, data="\n".join([*kept, *own]) + "\n")
    tree = git("write-tree", cwd=bare, variables=index)
    ancestry = [word for parent in parents for word in ("-p", parent)]
    commit = git("commit-tree", tree, *ancestry, "-m", message, cwd=bare, variables=index)
    git("update-ref", f"refs/heads/{repository_branch()}", commit, tip, cwd=bare)
    return commit


def environments(config: Config) -> list[str]:
    """The environments in the remote, all of which the sandbox serves."""
    return _environments(config.bare_repository, repository_branch())


def _environments(bare: Path, commit: str) -> list[str]:
    names = git("ls-tree", "-r", "--name-only", commit, "--", "argocd-apps/", cwd=bare).splitlines()
    return [match[1] for name in names if (match := ENVIRONMENTS.fullmatch(name))]


def uncommitted() -> bool:
    """Whether the checkout has changes that the remote does not (they are not deployed)."""
    return bool(git("status", "--porcelain", cwd=REPOSITORY_ROOT))
