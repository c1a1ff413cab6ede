"""The handoff: read what is pinned, and deliver a bump exactly once, against other writers and bad moments."""

from __future__ import annotations

import difflib
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from lifecycle.gitops.errors import (
    BumpInvalid,
    DeliveryTimeout,
    FileRefused,
    GitOpsError,
    RemoteUnavailable,
    RevertedCommitNotFound,
)
from lifecycle.gitops.file.edit import Edit, edit_model
from lifecycle.gitops.file.entry import read_model, read_models
from lifecycle.gitops.file.guards import candidate_after, pin_after, why_stop
from lifecycle.gitops.history import Code, Relation, code_at_tip, find_own_commit, newest_code, relation, revisions
from lifecycle.gitops.message import effect_of, message_of, target_of, trailers_of
from lifecycle.gitops.models import Bump, Delivery, PinnedModel, RequestState, Revision
from lifecycle.gitops.remote.clone import Clone, CommitNote, TreeFile
from lifecycle.gitops.remote.credentials import GitCredentials
from lifecycle.gitops.remote.faults import Race
from lifecycle.gitops.remote.workspace import private_folder
from lifecycle.gitops.review.hosts import Host, host_of, number_of
from lifecycle.gitops.review.proposal import Proposal, propose
from lifecycle.gitops.settings import GitOpsSettings
from lifecycle.model import names
from lifecycle.model.pin import Pin

log = logging.getLogger(__name__)
T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URI = re.compile(r"s3://[a-z0-9][-a-z0-9.]*(/[A-Za-z0-9._=@+-]+)+/?")


@dataclass
class _Attempt:
    """What one delivery remembers from one attempt to the next."""

    number: int = 0
    last_trouble: str = ""
    pushed_unsure: str | None = None
    code: Code | None = None


class GitOps:
    """One GitOps repository, through which alone versions are deployed."""

    def __init__(self, settings: GitOpsSettings, credentials: GitCredentials | None = None) -> None:
        self._settings = settings
        self._credentials = credentials

    def read(self, environment: str, app: str, model: str) -> tuple[PinnedModel, str]:
        """What the branch pins now for that model, and the commit in which it was read."""
        path = self._settings.path(environment, app)

        def work(clone: Clone, _: _Attempt) -> tuple[PinnedModel, str]:
            tip = clone.fetch(1)
            return read_model(_present(clone, tip, path).content, model, path=path), tip

        return self._insist(f"reading {path}", work)

    def inventory(self) -> tuple[list[tuple[str, str, PinnedModel]], str]:
        """Every (environment, app, model) that the branch pins now, and the commit in which it was read."""
        pattern = re.compile(
            re.escape(self._settings.path("0environment0", "0app0"))
            .replace("0environment0", "(?P<environment>[^/]+)")
            .replace("0app0", "(?P<app>[^/]+)")
        )
        folder = self._settings.path("0environment0", "0app0").partition("/0environment0")[0]

        def work(clone: Clone, _: _Attempt) -> tuple[list[tuple[str, str, PinnedModel]], str]:
            tip = clone.fetch(1)
            found = (match for name in clone.files(tip, folder) if (match := pattern.fullmatch(name)))
            return [
                (match["environment"], match["app"], model)
                for match in found
                for model in read_models(_present(clone, tip, match[0]).content, path=match[0])
            ], tip

        return self._insist(f"reading {folder}", work)

    def history(self, environment: str, app: str, model: str, limit: int = 20) -> list[Revision]:
        """The pins of that model that the branch has held, newest first, each with the commit that wrote it.

        Looks back at most some thousands of commits of the branch.
        """
        path = self._settings.path(environment, app)
        return self._insist(f"reading {path}", lambda clone, _: revisions(clone, model, path, limit))

    def newest_code(self) -> str:
        """The newest commit of the branch that touched the serving code; empty: there is none."""
        folder = self._settings.code_path
        return self._insist(f"looking for {folder}", lambda clone, _: newest_code(clone, folder).commit)

    def export(self, commit: str, paths: Sequence[str], into: Path) -> None:
        """Write the files below some paths of a commit into a folder."""
        self._insist(f"reading {commit[:12]}", lambda clone, _: clone.export(commit, paths, into))

    @property
    def code_path(self) -> str:
        """The folder of the repository with the code that serves."""
        return self._settings.code_path

    def relation(self, commit: str, revision: str) -> Relation:
        """How a revision of the branch (what a cluster has synced, say) relates to a commit that was delivered.

        `contains`: it is the commit or a descendant. `lacks`: it is neither (older, of another branch, or further back
        than `search_depth`). `commit_gone`: the commit itself is not on the branch any more.
        """
        return self._insist(
            f"comparing {commit[:12]} with {revision[:12]}",
            lambda clone, _: relation(clone, self._settings.search_depth, commit, revision),
        )

    def deliver(self, bump: Bump) -> Delivery:
        """Make the bump, or find out that it is made or no longer wanted.

        Raises a GitOpsError; `retryable` on it tells whether the same call may succeed later.
        """
        _check(bump)
        host = host_of(self._settings, self._credentials) if self._settings.delivery != "push" else None
        return self._insist(
            f"delivery of {target_of(bump)}", lambda clone, attempt: self._try(clone, host, bump, attempt)
        )

    def request_state(self, request_url: str) -> RequestState:
        """What became of a merge request that `deliver` opened. RemoteUnavailable: asking again may help."""
        found = host_of(self._settings, self._credentials).get(number_of(request_url))
        return RequestState(found.state, found.url, found.merge_commit)

    def _try(self, clone: Clone, host: Host | None, bump: Bump, attempt: _Attempt) -> Delivery:
        path = self._settings.path(bump.environment, bump.app)
        folder = self._settings.code_path
        if bump.newest_code and attempt.code is None:
            attempt.code = newest_code(clone, folder)
        tip = clone.fetch(self._settings.search_depth + 1)
        if (mine := find_own_commit(clone, bump, attempt.pushed_unsure)) is not None:
            return self._already(clone, bump, path, mine, pushed_now=mine.commit == attempt.pushed_unsure)
        if attempt.code is not None:
            bump = replace(bump, pin=replace(bump.pin, code_commit=code_at_tip(clone, folder, attempt.code)))
        file = _present(clone, tip, path)
        before = read_model(file.content, bump.model, path=path)
        if before.published and bump.pin.version is not None and not bump.pin.uri and bump.kind != "discard":
            raise BumpInvalid(
                f"{target_of(bump)} has a storageUri, so KServe serves its versions from a bucket, and none was named "
                "to publish them in. Set LIFECYCLE_PUBLISH_URL. Nothing was committed."
            )
        edit = edit_model(
            file.content,
            bump.model,
            pin_after(bump, before),
            path=path,
            registered_model=bump.registered_model,
            hold=bump.hold,
            candidate=candidate_after(bump, before),
        )
        stop = why_stop(bump, before, self._reverted(clone, bump, path), self._source(clone, bump, tip))
        if stop is not None:
            return Delivery(stop.outcome, tip, before.pin, "", stop.detail, bump.pin)
        diff = _diff(file.content, edit.content, path)
        message = message_of(bump, before, self._settings)

        def commit() -> str:
            return clone.commit(tip, path, file.mode, edit.content, message)

        if host is not None:

            def pinned(request: str) -> Pin:
                at = _present_in(clone.file_anywhere(request, path), clone, request, path)
                there = read_model(at.content, bump.model, path=path)
                return (there.candidate if bump.kind == "candidate" else there.pin) or bump.pin

            proposal = Proposal(bump, before.pin, message, diff, commit, pinned)
            return propose(clone, host, self._settings.branch, proposal)
        attempt.pushed_unsure = pushed = commit()
        clone.push(pushed, onto=tip)
        return Delivery("pushed", pushed, before.pin, diff, _pushed(bump, edit, attempt), bump.pin)

    def _already(self, clone: Clone, bump: Bump, path: str, note: CommitNote, *, pushed_now: bool) -> Delivery:
        after = _present(clone, note.commit, path)
        before = _present(clone, clone.parent(note.commit), path)
        former = read_model(before.content, bump.model, path=path).pin
        diff = _diff(before.content, after.content, path)
        pin = replace(bump.pin, code_commit=note.trailers.get(names.CODE_COMMIT_TRAILER, ""))
        if pushed_now:
            return Delivery(
                "pushed", note.commit, former, diff, "The push arrived although the remote's answer did not.", pin
            )
        return Delivery(
            "already_there", note.commit, former, diff, f"This run made the commit {note.commit[:12]} earlier.", pin
        )

    def _source(self, clone: Clone, bump: Bump, tip: str) -> PinnedModel | None:
        """What the stage that the pin comes from holds at the tip."""
        if bump.source is None:
            return None
        path = self._settings.path(bump.source.environment, bump.source.app)
        return read_model(_present(clone, tip, path).content, bump.source.model, path=path)

    def _reverted(self, clone: Clone, bump: Bump, path: str) -> Pin | None:
        """What the commit that a restore takes back had written."""
        if bump.kind != "restore" or bump.reverts is None:
            return None
        try:
            file = _present_in(clone.file_anywhere(bump.reverts, path), clone, bump.reverts, path)
            return read_model(file.content, bump.model, path=path).pin
        except RemoteUnavailable:
            raise
        except GitOpsError as error:
            raise RevertedCommitNotFound(
                f"What the commit {bump.reverts} wrote, which is to be taken back, cannot be read: {error} Look at the "
                "branch, then use the DAG yolo_rollback with the version that you want."
            ) from error

    def _insist(self, doing: str, work: Callable[[Clone, _Attempt], T]) -> T:
        """Do the work in a private clone, again and again while another writer or the network is in its way."""
        deadline = time.monotonic() + self._settings.time_limit
        with private_folder(self._settings.work_dir) as folder:
            clone = Clone(folder, self._settings, self._credentials, deadline)
            for attempt in self._attempts(deadline):
                try:
                    return work(clone, attempt)
                except Race as race:
                    attempt.last_trouble = f"another writer was faster ({race})"
                except RemoteUnavailable as error:
                    # What our own time limit cut off tells less than what went wrong before.
                    if time.monotonic() < deadline or not attempt.last_trouble:
                        attempt.last_trouble = str(error)
                log.info("Attempt %d at %s: %s", attempt.number, doing, attempt.last_trouble)
        raise AssertionError("_attempts ends by raising")

    def _attempts(self, deadline: float) -> Iterator[_Attempt]:
        """Attempts with full-jitter backoff between them, until the time limit; then DeliveryTimeout."""
        settings = self._settings
        attempt = _Attempt()
        while True:
            attempt.number += 1
            yield attempt
            ceiling = min(settings.backoff_cap, settings.backoff_base * 2 ** min(attempt.number - 1, 30))
            pause = random.uniform(0, ceiling)
            if time.monotonic() + pause > deadline:
                raise DeliveryTimeout(
                    f"Gave up on the branch {settings.branch} after {attempt.number} attempts within the limit of "
                    f"{settings.time_limit:.0f} s. The last one: {attempt.last_trouble.rstrip('.')}. Clear the task to "
                    "continue: if its commit has arrived after all, it will be found."
                )
            time.sleep(pause)


def _check(bump: Bump) -> None:
    """Refuse what must never get into the file, whoever asks."""
    pin = bump.pin
    if pin.version is None:
        if pin.sha256 or pin.run_id or pin.code_commit:
            raise BumpInvalid(f"{bump.model}: a pin without a version must have no checksum, run id or code commit.")
    elif isinstance(pin.version, bool) or pin.version < 0:
        raise BumpInvalid(f"{bump.model}: {pin.version!r} is not a version number.")
    elif not _SHA256.fullmatch(pin.sha256):
        raise BumpInvalid(f"{bump.model}: the checksum {pin.sha256!r} is not 64 lower-case hex digits.")
    elif not pin.run_id or not pin.run_id.isprintable():
        raise BumpInvalid(f"{bump.model}: the run id {pin.run_id!r} is not one line of text.")
    if pin.uri and not _URI.fullmatch(pin.uri):
        raise BumpInvalid(f"{bump.model}: {pin.uri!r} is no folder of a bucket: write s3://<bucket>/<folder>.")
    if pin.code_commit and not _COMMIT.fullmatch(pin.code_commit):
        raise BumpInvalid(f"{bump.model}: the code commit {pin.code_commit!r} is not the full id of a commit.")
    if bump.kind in ("candidate", "discard") and pin.version is None:
        raise BumpInvalid(f"{bump.model}: a candidate must have a version.")
    if bump.kind == "restore" and not bump.reverts:
        raise BumpInvalid(f"{bump.model}: a restore must name the commit that it takes back.")
    if bump.reverts is not None and not _COMMIT.fullmatch(bump.reverts):
        raise BumpInvalid(f"{bump.model}: {bump.reverts!r} is not the full id of a commit.")
    trailers_of(bump)


def _present(clone: Clone, commit: str, path: str) -> TreeFile:
    return _present_in(clone.file(commit, path), clone, commit, path)


def _present_in(file: TreeFile | None, clone: Clone, commit: str, path: str) -> TreeFile:
    if file is None:
        raise FileRefused(
            path,
            1,
            f"there is no such file in {clone.url} at {commit[:12]}. Add it, or correct the environment and app.",
        )
    return file


def _pushed(bump: Bump, edit: Edit, attempt: _Attempt) -> str:
    tries = "" if attempt.number == 1 else f" (attempt {attempt.number})"
    if bump.kind in ("candidate", "discard"):
        return f"{target_of(bump)}: {effect_of(bump, edit.before)}{tries}"
    code = f", code {bump.pin.code_commit[:12]}" if bump.pin.code_commit else ""
    return f"{target_of(bump)}: {edit.before.pin.version} → {edit.after.pin.version}{code}{tries}"


def _diff(before: bytes, after: bytes, path: str) -> str:
    """The unified diff, with the lines as they are in the file."""
    old, new = (content.decode(errors="replace").splitlines(keepends=True) for content in (before, after))
    return "".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=1))
