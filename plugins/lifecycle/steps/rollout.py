"""What follows from how a watched rollout ended: it is live, or is watched further, or failed, or is not this run's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from lifecycle.errors import ClusterError, ClusterUnavailable, LifecycleError, RolloutFailed
from lifecycle.hooks.gitops import repository
from lifecycle.model.results import RolledOut, RolloutEvent
from lifecycle.model.target import Target
from lifecycle.policy.rollout import rollout_error
from lifecycle.settings import settings
from lifecycle.steps.watching import RolloutWatch

log = logging.getLogger(__name__)


class Superseded(Exception):
    """Another commit has moved the model on: then that commit's run decides. No failure of this one."""


@dataclass(frozen=True)
class Awaited:
    """A commit that is waited for.

    `code_commit` empty: whichever. `accepted`: the commit and revisions known to hold it; `older`: known not to;
    `deadline`: seconds since the epoch.
    """

    target: Target
    version: int
    code_commit: str
    accepted: list[str]
    older: list[str]
    deadline: float

    @property
    def commit(self) -> str:
        """The commit itself."""
        return self.accepted[0]

    @property
    def watch(self) -> RolloutWatch:
        """What to watch next."""
        return RolloutWatch.of(self.target, self.accepted, self.older, self.deadline, self.version)


def conclude(awaited: Awaited, event: RolloutEvent) -> RolledOut | Awaited:
    """Where it was rolled out; or what is waited for further.

    Raises:
        Superseded: a newer commit pins something else.
        LifecycleError: the rollout failed, or took too long.
    """
    state, message = event["state"], event["message"]
    if state == "ready":
        log.info("%s is %s at revision %s", awaited.target.application, message, event["revision"])
        return {"commit": awaited.commit, "revision": event["revision"]}
    if state == "error":
        raise (ClusterUnavailable if event["retryable"] else ClusterError)(message)
    _check_superseded(awaited)
    if state == "other":
        return _look_at(awaited, event)
    raise rollout_error(awaited.target, awaited.commit, event)


def _check_superseded(awaited: Awaited) -> None:
    target = awaited.target
    pinned, tip = repository().read(target.environment, target.app, target.model)
    found = pinned.candidate if target.candidate else pinned.pin
    as_what = "the candidate " if target.candidate else ""
    if found is None or found.version != awaited.version:
        pins = f"{as_what}version {found.version if found else None}"
    elif awaited.code_commit and found.code_commit != awaited.code_commit:
        pins = f"{as_what}{found.words_with_code}, not with that of {awaited.code_commit[:12]}"
    else:
        return
    raise Superseded(
        f"Superseded: commit {awaited.commit} pinned {as_what}version {awaited.version} of {target.model}, and at "
        f"{tip} the file pins {pins}. This run leaves the decision to whoever wrote it."
    )


def _look_at(awaited: Awaited, event: RolloutEvent) -> Awaited:
    """Argo CD is at a revision that may or may not hold the commit: find out, and watch on."""
    revision = event["revision"]
    relation = repository().relation(awaited.commit, revision)
    if relation == "commit_gone":
        raise RolloutFailed(
            f"Commit {awaited.commit} is not on the branch {settings().gitops_branch!r} any more: somebody rewrote "
            "the branch, or more commits came since than are looked at. Look at the branch, then run the DAG "
            "again or roll back with yolo_rollback."
        )
    if relation == "contains":
        log.info("Revision %s holds commit %s", revision, awaited.commit)
        return replace(awaited, accepted=[*event["accepted"], revision])
    log.info("Revision %s is from before commit %s", revision, awaited.commit)
    return replace(awaited, older=[*event["older"], revision])


def merged_commit(request_url: str, open_for: float, *, delivery: str = "") -> str | None:
    """The commit that a merge request became; None: it is open.

    Args:
        request_url: its page.
        open_for: seconds for which it has been waited for.
        delivery: how the stage has its commits delivered; empty: as the setting says.

    Raises:
        RolloutFailed: the request was closed, or is open for longer than the setting says.
    """
    chosen = settings()
    state = repository(delivery).request_state(request_url)
    if state.state == "merged" and state.merge_commit:
        return state.merge_commit
    if state.state == "closed":
        raise RolloutFailed(f"The merge request {request_url} was closed and not merged: nothing changes.")
    if open_for > chosen.merge_timeout:
        raise RolloutFailed(
            f"The merge request {request_url} is still open after {chosen.merge_timeout} s. Merge it and clear this "
            "task, or close it."
        )
    log.info("The merge request %s is %s; looking again in %d s", request_url, state.state, chosen.merge_poll)
    return None


def wait(awaited: Awaited) -> RolledOut:
    """Wait in this process, where no triggerer does; see `conclude`."""
    while True:
        found = conclude(awaited, asyncio.run(awaited.watch.end()))
        if not isinstance(found, Awaited):
            return found
        awaited = found


def wait_merged(request_url: str, *, delivery: str = "", sleep: Callable[[float], None] = time.sleep) -> str:
    """Wait in this process until a merge request is merged; see `merged_commit`."""
    began = time.monotonic()
    while True:
        try:
            commit = merged_commit(request_url, time.monotonic() - began, delivery=delivery)
        except LifecycleError as error:
            if not error.retryable:
                raise
            log.info("%s", error)
            commit = None
        if commit:
            return commit
        sleep(settings().merge_poll)
