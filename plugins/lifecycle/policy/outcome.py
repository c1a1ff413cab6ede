"""How a DAG run ended, from what became of its tasks: the state of its MLflow run, and a word for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lifecycle.model.names import CLOSE_RUN, DISCARD_CANDIDATE, FIND_CHANGES, REGISTER, RESTORE

Status = Literal["FINISHED", "FAILED", "KILLED"]
State = Literal["success", "failed"]  # Airflow's, of a DAG run that has ended

# Tasks that are skipped in a good run.
ON_FAILURE = {DISCARD_CANDIDATE, RESTORE}

LIVE = "live"
UNCHANGED = "unchanged"
REJECTED = "rejected"
NOT_PROMOTED = "not promoted"
ENDED_BY_HAND = "ended by hand"
DELETED = "DAG run deleted"


@dataclass(frozen=True)
class Outcome:
    """MLflow's word for the end, and what the tag `outcome` says."""

    status: Status
    text: str


@dataclass(frozen=True)
class Task:
    """A task instance, when its DAG run has ended."""

    state: str | None
    began: datetime | None
    ended: datetime | None


def outcome(states: Mapping[str, str | None]) -> Outcome:
    """The outcome of a DAG run whose tasks are in these states.

    A candidate that the gate or a person rejects was still trained, measured and kept: its run is FINISHED. So is one
    that had nothing to train. A stage after the first (its tasks are in a group) that a version was not let into leaves
    it live in the one before.
    """
    failed = _in_state(states, "failed") or _in_state(states, "upstream_failed")
    if failed:
        return Outcome("FAILED", f"failed in {', '.join(failed)}")
    skipped = {task for task, state in states.items() if state == "skipped" and "." not in task} - ON_FAILURE
    if not skipped:
        return Outcome("FINISHED", LIVE)
    if FIND_CHANGES in skipped:
        return Outcome("FINISHED", UNCHANGED)
    return Outcome("FINISHED", REJECTED if REGISTER in skipped else NOT_PROMOTED)


def _in_state(states: Mapping[str, str | None], wanted: str) -> list[str]:
    return sorted(task for task, state in states.items() if state == wanted and task != CLOSE_RUN)


def end_unseen(tasks: Mapping[str, Task], state: State) -> Outcome | None:
    """The outcome of a DAG run whose last task did not see its end; None: it did, and has ended the MLflow run.

    It was skipped, because a person gave the DAG run this state; or another task ended after it had begun, because a
    person cleared that one without those that follow it.
    """
    last = tasks[CLOSE_RUN]
    if last.state == "skipped":
        return Outcome("FINISHED" if state == "success" else "KILLED", ENDED_BY_HAND)
    others = {name: each for name, each in tasks.items() if name != CLOSE_RUN}
    later = [name for name, each in others.items() if last.began and each.ended and each.ended > last.began]
    if not later:
        return None
    found = outcome({name: each.state for name, each in tasks.items()})
    if found.status == "FINISHED" and state == "failed":
        # Airflow takes a DAG run's state from its last task, which failed because of another one's former failure.
        return Outcome("FAILED", f"failed in {CLOSE_RUN}, which was not cleared with {', '.join(sorted(later))}")
    return found
