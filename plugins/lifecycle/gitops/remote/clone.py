"""A bare repository that holds just enough of the remote to add one commit to its tip.

There is no work tree and no full clone: the last commits without their trees, the tip's trees, and the one file. So the
cost depends on neither the length of the history nor the size of the other files. Everything lives in a private folder
until the push, which is one atomic step on the remote: a kill at any moment leaves nothing half done.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle.gitops.errors import FileRefused, GitOpsError, LocalFailure, RevertedCommitNotFound
from lifecycle.gitops.message import parse_trailers
from lifecycle.gitops.remote.credentials import GitCredentials
from lifecycle.gitops.remote.faults import push_fault, transport_fault
from lifecycle.gitops.remote.gitconfig import base_config, config_text, signing_config
from lifecycle.gitops.remote.process import GitResult, GitRunner
from lifecycle.gitops.settings import GitOpsSettings

_REGULAR_FILES = ("100644", "100755")


@dataclass(frozen=True)
class CommitNote:
    """A commit as far as its message tells."""

    commit: str
    time: int
    subject: str
    trailers: Mapping[str, str]


@dataclass(frozen=True)
class TreeFile:
    """A file of some commit: mode and content."""

    mode: str
    content: bytes


class Clone:
    """One remote branch, read and written without a checkout. `deadline` is on the monotonic clock."""

    def __init__(
        self, folder: Path, settings: GitOpsSettings, credentials: GitCredentials | None, deadline: float
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._git_dir = folder / "repository"
        self._git_dir.mkdir(mode=0o700)
        secrets = credentials.secrets() if credentials else ()
        self._git = GitRunner(self._git_dir, _identity(settings), secrets)
        self.url = self._git.scrub(settings.url)
        self._signing = bool(settings.signing)
        self._fetched_before = False
        self._initialise(folder, credentials)

    def _initialise(self, folder: Path, credentials: GitCredentials | None) -> None:
        self._local("init", "--quiet", "--bare", "--template=")
        config = base_config(self._settings)
        if credentials is not None:
            secrets = folder / "secrets"
            secrets.mkdir(mode=0o700)
            self._git.extend(credentials.install(secrets, self._effective_url()))
            if credentials.token is not None:
                config["credential.helper"] = ""  # neither asks a helper nor lets one store the token
        config |= signing_config(self._settings, credentials, folder)
        with (self._git_dir / "config").open("a") as file:
            file.write(config_text(config))

    # --- reading ---------------------------------------------------------------------------------------------------

    def fetch(self, depth: int) -> str:
        """The branch's tip now, with its last `depth` commits.

        At first without trees and files, where the remote can leave them out. Later, what others have pushed meanwhile
        comes with its files: the one that matters is among them, and asking for it separately would lose races.
        """
        branch = self._settings.branch
        filtered = "--no-filter" if self._fetched_before else "--filter=tree:0"
        self._remote(
            "fetch from",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            f"--depth={depth}",
            filtered,
            "origin",
            f"+refs/heads/{branch}:refs/remotes/origin/{branch}",
        )
        self._fetched_before = True
        return self.tip()

    def fetch_with_trees(self, depth: int | None) -> bool:
        """The last `depth` commits with their trees, to ask which of them touch a file; true if there are no more.

        None: all of them.
        """
        branch = self._settings.branch
        refspec = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
        reach = "--unshallow" if depth is None else f"--depth={depth}"
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", reach, "--filter=blob:none")
        self._remote("fetch from", "fetch", *options, "origin", refspec)
        return not (self._git_dir / "shallow").exists()

    def versions(self, path: str) -> Iterator[tuple[CommitNote, bytes]]:
        """The fetched commits that changed the file, newest first, each with the file as it left it."""
        raw = ("--raw", "--no-abbrev", "--no-renames", "--diff-merges=first-parent")
        found = []
        for note, rest in self._log(*raw, path=path):
            changed = re.search(r"^:\d+ \d+ [0-9a-f]+ ([0-9a-f]+) [AMT]\t", rest, re.MULTILINE)
            if changed is not None:
                found.append((note, changed[1]))
        # All at once, in the way that git itself fetches them one by one: without telling the remote what is here
        # already, because a blob of a commit that is here counts as here, too.
        missing = "".join(f"{oid}\n" for oid in dict.fromkeys(oid for _, oid in found)).encode()
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "--stdin")
        if missing:
            noop = ("-c", "fetch.negotiationAlgorithm=noop")
            self._remote("read from", *noop, "fetch", *options, "origin", stdin=missing)
        for note, oid in found:
            yield note, self._remote("read from", "cat-file", "blob", oid).out

    def tip(self) -> str:
        """The branch's tip as it was fetched last."""
        branch = self._settings.branch
        return self._local("rev-parse", "--verify", f"refs/remotes/origin/{branch}").out.decode().strip()

    def has_folder(self, folder: str) -> bool:
        """Whether the tip has that folder."""
        return bool(self._remote("read from", "ls-tree", self.tip(), "--", folder).out)

    def newest_that_touched(self, folder: str, since: str = "") -> str:
        """The newest fetched commit that touched a folder, of those that are not in `since`; empty: none has.

        A merge counts as one commit: the one by which the branch got what it brings.
        """
        commits = [self.tip(), *([f"^{since}"] if since else [])]
        found = self._remote("read from", "log", "-1", "--first-parent", "--format=%H", *commits, "--", folder)
        return found.out.decode().strip()

    def has_parent(self, commit: str) -> bool:
        """Whether the commit's first parent was fetched."""
        return self._run("rev-parse", "--verify", "--quiet", f"{commit}^").code == 0

    def remote_head(self, branch: str) -> str | None:
        """Where another branch of the remote is now, if it exists."""
        listed = self._remote("read from", "ls-remote", "origin", f"refs/heads/{branch}").out.decode()
        return listed.split()[0] if listed.strip() else None

    def file(self, commit: str, path: str) -> TreeFile | None:
        """The file in that commit, or None if it is not there. Fetches what is missing of it."""
        listed = self._remote("read from", "ls-tree", "-z", commit, "--", path).out
        if not listed:
            return None
        mode, kind, oid = listed.split(b"\t", 1)[0].decode().split()
        if kind != "blob" or mode not in _REGULAR_FILES:
            raise FileRefused(
                path, 1, f"this is not a regular file in {self.url} (mode {mode}). Put the file itself there."
            )
        return TreeFile(mode, self._remote("read from", "cat-file", "blob", oid).out)

    def files(self, commit: str, folder: str) -> list[str]:
        """The paths of all files below a folder in that commit; none if it is not there."""
        listed = self._remote("read from", "ls-tree", "-r", "-z", "--name-only", commit, "--", f"{folder}/").out
        return [name for name in listed.decode().split("\0") if name]

    def file_anywhere(self, commit: str, path: str) -> TreeFile | None:
        """The file in any commit that the remote still has, fetched or not."""
        if commit not in self.fetched(
            f"refs/remotes/origin/{self._settings.branch}"
        ):  # asking git for the object itself would fetch its whole history
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--filter=blob:none")
            fetched = self._run("fetch", *options, "origin", commit)
            if "not our ref" in fetched.err or "unadvertised object" in fetched.err:
                raise RevertedCommitNotFound(f"{self.url} has no commit {commit} (any more).")
            if fetched.code != 0:
                raise transport_fault("read from", self.url, fetched.err)
        return self.file(commit, path)

    def export(self, commit: str, paths: Sequence[str], into: Path) -> None:
        """Write the files below some paths of any commit that the remote still has into a folder."""
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--no-filter")
        self._remote("read from", "fetch", *options, "origin", commit)
        archive = self._remote("read from", "archive", "--format=tar", commit, "--", *paths).out
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # Debian 12's Python (3.11.2) has no filters yet; what git archives leaves no folder.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(into)

    def fetched(self, revision: str) -> set[str]:
        """The commits that a fetched one contains, itself among them, as far back as they were fetched."""
        return set(self._local("rev-list", revision, "--").out.decode().split())

    def parent(self, commit: str) -> str:
        """The first parent, fetched if it lies beyond what was."""
        if not self.has_parent(commit):
            self._remote(
                "read from", "fetch", "--quiet", "--no-tags", "--deepen=1", "--filter=tree:0", "origin", commit
            )
        return self._local("rev-parse", "--verify", f"{commit}^").out.decode().strip()

    def notes(self, containing: str) -> Iterator[CommitNote]:
        """The fetched commits, newest first, whose message contains that text."""
        for note, _ in self._log("--fixed-strings", f"--grep={containing}"):
            yield note

    def _log(self, *options: str, path: str | None = None) -> Iterator[tuple[CommitNote, str]]:
        """Commits with whatever the options make git print after the message."""
        tip = f"refs/remotes/origin/{self._settings.branch}"
        pretty = "--format=%x01%H%n%ct%n%s%n%(trailers:only=true,unfold=true)"
        paths = [path] if path is not None else []
        out = self._local("log", "--topo-order", *options, pretty, tip, "--", *paths).out
        for record in out.decode(errors="replace").split("\x01")[1:]:
            commit, seconds, subject, rest = record.split("\n", 3)
            yield CommitNote(commit, int(seconds), subject, parse_trailers(rest)), rest

    # --- writing ---------------------------------------------------------------------------------------------------

    def commit(self, parent: str, path: str, mode: str, content: bytes, message: str) -> str:
        """A commit on top of `parent` that differs in that one file; only here, until it is pushed."""
        blob = self._local("hash-object", "-w", "--stdin", stdin=content).out.decode().strip()
        self._local("read-tree", parent)
        self._local("update-index", "--cacheinfo", f"{mode},{blob},{path}")
        # The other files were never fetched: without --missing-ok git would fetch them all now.
        tree = self._local("write-tree", "--missing-ok").out.decode().strip()
        sign = ["-S"] if self._signing else []
        return (
            self._local("commit-tree", tree, "-p", parent, *sign, "-F", "-", stdin=message.encode())
            .out.decode()
            .strip()
        )

    def push(self, commit: str, *, onto: str, branch: str | None = None) -> None:
        """Move the branch from `onto` to `commit`, or raise: Race when it is no longer at `onto`.

        The lease makes git's own check stricter, it forces nothing: `commit` is a child of `onto`, so that a push that
        the lease allows is a fast-forward. Without it a branch deleted meanwhile would come to life again.
        """
        branch = branch or self._settings.branch
        ref = f"refs/heads/{branch}"
        result = self._run(
            "push", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{onto}", "origin", f"{commit}:{ref}"
        )
        if result.code != 0:
            raise push_fault(self.url, branch, self._git.scrub(result.out.decode(errors="replace")), result.err)

    # --- running git -----------------------------------------------------------------------------------------------

    def _run(self, *arguments: str, stdin: bytes | None = None) -> GitResult:
        left = self._deadline - time.monotonic()
        return self._git.run(*arguments, stdin=stdin, timeout=min(self._settings.command_timeout, left))

    def _remote(self, doing: str, *arguments: str, stdin: bytes | None = None) -> GitResult:
        result = self._run(*arguments, stdin=stdin)
        if result.code != 0:
            raise transport_fault(doing, self.url, result.err)
        return result

    def _local(self, *arguments: str, stdin: bytes | None = None) -> GitResult:
        result = self._run(*arguments, stdin=stdin)
        if result.code != 0:
            raise self._local_fault(arguments[0], result)
        return result

    def _local_fault(self, command: str, result: GitResult) -> GitOpsError:
        fault = transport_fault("read from", self.url, result.err)
        if command == "read-tree" or isinstance(fault, LocalFailure):
            return fault
        said = result.err or f"it ended with {result.code} and said nothing"
        return LocalFailure(f"git {command} failed on this worker: {said}. Nothing was changed in {self.url}.")

    def _effective_url(self) -> str:
        """The URL after git's own rewriting (`url.<base>.insteadOf`): the host that will ask for the credentials."""
        shown = self._run("ls-remote", "--get-url", self._settings.url)
        return shown.out.decode().strip() if shown.code == 0 else self._settings.url


def _identity(settings: GitOpsSettings) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": settings.author_name,
        "GIT_AUTHOR_EMAIL": settings.author_email,
        "GIT_COMMITTER_NAME": settings.committer_name or settings.author_name,
        "GIT_COMMITTER_EMAIL": settings.committer_email or settings.author_email,
    }
