"""A cache of bare mirrors and of checked-out revisions, by the git program.

git itself maps addresses (``url.<base>.insteadOf`` in the file that GIT_CONFIG_GLOBAL names) and finds credentials;
nothing here ever prompts.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

from sandbox.argocd.errors import GitError

TIMEOUT = 60.0
# Checkouts kept for each repository: enough for every revision that some Application may still be compared with.
KEPT = 8
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


class GitCache:
    """Mirrors and checkouts below one folder."""

    def __init__(self, root: Path, timeout: float = TIMEOUT) -> None:
        self._root = root
        self._timeout = timeout
        self._locks: dict[str, asyncio.Lock] = {}

    async def fetch(self, url: str) -> None:
        """Bring the mirror of ``url`` up to date.

        Raises:
            GitError: git cannot reach it within the time limit; the mirror stays as it was.
        """
        mirror = self._mirror(url)
        async with self._lock(url):
            if not (mirror / "HEAD").exists():
                mirror.parent.mkdir(parents=True, exist_ok=True)
                await self._git("init", "--quiet", "--bare", str(mirror))
            heads = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            try:
                await self._git("-C", str(mirror), "fetch", "--quiet", "--prune", "--force", url, *heads)
            except GitError as error:
                raise GitError(f"The repository {_redact(url)} cannot be fetched: {error}") from error

    async def resolve(self, url: str, revision: str) -> str:
        """The commit that a branch, tag or (full or short) commit id names, out of the mirror.

        Raises:
            GitError: there is none.
        """
        mirror = self._mirror(url)
        if not (mirror / "HEAD").exists():
            await self.fetch(url)
        if revision in ("", "HEAD"):
            revision = await self._default_branch(url)
        for candidate in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if candidate.startswith("-"):
                continue
            try:
                name = f"{candidate}^{{commit}}"
                return (await self._git("-C", str(mirror), "rev-parse", "--quiet", "--verify", name)).decode().strip()
            except GitError:
                continue
        raise GitError(f"{_redact(url)} has no branch, tag or commit {revision!r}. Push it, or correct targetRevision.")

    async def files(self, url: str, commit: str) -> list[str]:
        """The paths of all files at a commit, sorted."""
        listing = await self._git("-C", str(self._mirror(url)), "ls-tree", "-r", "-z", "--name-only", commit)
        return sorted(path for path in listing.decode().split("\0") if path)

    async def read(self, url: str, commit: str, path: str) -> str:
        """The text of one file at a commit."""
        return (await self._git("-C", str(self._mirror(url)), "show", f"{commit}:{path}")).decode()

    async def checkout(self, url: str, commit: str) -> Path:
        """A folder with all files of a commit; not to be written to."""
        target = self._root / "checkouts" / _key(url) / commit
        async with self._lock(url):
            if not target.exists():
                archive = await self._git("-C", str(self._mirror(url)), "archive", "--format=tar", commit)
                await asyncio.to_thread(_unpack, archive, target)
            target.touch()
        return target

    async def _default_branch(self, url: str) -> str:
        answer = (await self._git("ls-remote", "--symref", url, "HEAD")).decode()
        found = re.search(r"^ref: refs/heads/(\S+)\s+HEAD", answer, re.MULTILINE)
        if not found:
            raise GitError(f"{_redact(url)} has no default branch; name one in targetRevision.")
        return found.group(1)

    def _mirror(self, url: str) -> Path:
        return self._root / "mirrors" / f"{_key(url)}.git"

    def _lock(self, url: str) -> asyncio.Lock:
        return self._locks.setdefault(url, asyncio.Lock())

    async def _git(self, *args: str) -> bytes:
        env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "LC_ALL": "C"}
        env.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            env.pop(variable, None)
        process = await asyncio.create_subprocess_exec(
            "git", *args, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), self._timeout)
        except TimeoutError as error:
            raise GitError(f"git {args[-1]} gave no answer in {self._timeout:.0f} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise GitError(_redact(errors.decode(errors="replace").strip()) or f"git exited with {process.returncode}")
        return output


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _redact(text: str) -> str:
    return _CREDENTIALS.sub("", text)


def _unpack(archive: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        # Debian 12's Python (3.11.2) has no filters yet; git itself has no path that leaves the tree, and no device.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(partial, **safely)
    partial.rename(target)
    checkouts = sorted(target.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in checkouts[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
