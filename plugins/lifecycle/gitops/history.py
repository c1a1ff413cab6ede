"""What the branch's commits tell: whether this delivery was made before, and which versions a file has held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from lifecycle.gitops.errors import FileRefused
from lifecycle.gitops.file.entry import entry_bytes, read_model
from lifecycle.gitops.message import target_of, trailers_of
from lifecycle.gitops.models import Bump, Revision
from lifecycle.gitops.remote.clone import Clone, CommitNote
from lifecycle.model import names

Relation = Literal["contains", "lacks", "commit_gone"]

# How far back to look for earlier versions: most questions are answered by the first step.
_DEPTHS = (64, 512, 4096)


class Code(NamedTuple):
    """The newest commit that touched the serving code (empty: there is none), as of a tip of the branch."""

    tip: str
    commit: str


def find_own_commit(clone: Clone, bump: Bump, pushed_unsure: str | None) -> CommitNote | None:
    """This delivery's own commit, if an earlier attempt (of a killed task, perhaps) has landed.

    The newest commit of the same DAG run on the same entry decides: after a restore by that run, a promotion asked for
    again is a new wish and not the old one. A pin with another code commit is a new wish, too, unless the bump leaves
    that commit to the delivery. `pushed_unsure` is a commit of this very call, whose push had no answer.
    """
    wanted = trailers_of(bump)
    run = wanted.get(names.DAG_RUN_TRAILER)
    if run is None and pushed_unsure is None:
        return None
    for note in clone.notes(containing=f"{names.DAG_RUN_TRAILER}: {run}" if run else wanted[names.DELIVERY_TRAILER]):
        if note.commit == pushed_unsure:
            return note
        same_entry = note.trailers.get(names.DELIVERY_TRAILER, "").partition(" ")[2] == target_of(bump)
        if run and same_entry and note.trailers.get(names.DAG_RUN_TRAILER) == run:
            telling = [names.DELIVERY_TRAILER, names.MODEL_VERSION_TRAILER, names.MODEL_URI_TRAILER]
            if not bump.newest_code:
                telling.append(names.CODE_COMMIT_TRAILER)
            return note if all(note.trailers.get(key) == wanted.get(key) for key in telling) else None
    return None


def newest_code(clone: Clone, folder: str) -> Code:
    """The newest commit that touched a folder, as the branch is now.

    To be asked before anything else is fetched: commits that come without their trees first get these one by one.
    """
    found = ""
    for depth in (*_DEPTHS, None):
        complete = clone.fetch_with_trees(depth)
        if not clone.has_folder(folder):
            break
        found = clone.newest_that_touched(folder)
        # At the end of what was fetched, every file looks as if it were new.
        if complete or clone.has_parent(found):
            break
    return Code(clone.tip(), found)


def code_at_tip(clone: Clone, folder: str, known: Code) -> str:
    """The same after another fetch, which may have brought commits and need not reach back to the one known."""
    return (clone.newest_that_touched(folder, since=known.tip) or known.commit) if clone.has_folder(folder) else ""


def relation(clone: Clone, depth: int, commit: str, revision: str) -> Relation:
    """How a revision relates to a commit, among the branch's last `depth` commits."""
    tip = clone.fetch(depth)
    on_branch = clone.fetched(tip)
    if commit not in on_branch:
        return "commit_gone"
    return "contains" if revision in on_branch and commit in clone.fetched(revision) else "lacks"


def revisions(clone: Clone, model: str, path: str, limit: int) -> list[Revision]:
    """The pins of that model that the file has held, newest first, each with the commit that wrote it."""
    found: list[Revision] = []
    for depth in _DEPTHS:
        complete = clone.fetch_with_trees(depth)
        found = list(_changes(clone, model, path))
        if complete or len(found) > limit:
            break
        # Who wrote the oldest one cannot be told: its commit may lie further back.
        found = found[:-1]
    return found[:limit]


def _changes(clone: Clone, model: str, path: str) -> Iterator[Revision]:
    """Newest first. Many commits touch other models only: those are told by the entry's bytes, without parsing."""
    current: Revision | None = None
    unchanged = b""
    for note, content in clone.versions(path):
        if current is not None and unchanged in content:
            current = _revision(current, note)
            continue
        try:
            pinned = read_model(content, model, path=path)
            unchanged = entry_bytes(content, model, path=path)
        except FileRefused:  # a broken file, or one from before this model: nothing was pinned then
            continue
        written = Revision(pinned, "", datetime.fromtimestamp(0, UTC), "", {})
        if current is not None and current.model.pin != pinned.pin:
            yield current
        current = _revision(written, note)
    if current is not None:
        yield current


def _revision(revision: Revision, note: CommitNote) -> Revision:
    """The same pin, written by an older commit than thought so far."""
    return Revision(revision.model, note.commit, datetime.fromtimestamp(note.time, UTC), note.subject, note.trailers)
