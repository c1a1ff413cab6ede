"""How a DAG run ended, from what became of its tasks: the state of its MLflow run, and a word for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lifecycle.model.names import CLOSE_RUN, DISCARD_CANDIDATE, FIND_CHANGES, REGISTER, RESTORE

Status = Literal["FINISHED", "FAILED", "KILLED"]

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


def outcome(states: Mapping[str, str | None]) -> Outcome:
    """The outcome of a DAG run whose tasks are in these states.

    A candidate that the gate or a person rejects was still trained, measured and kept: its run is FINISHED. So is one
    that had nothing to train. A stage after the first (its tasks are in a group) that a version was not let into leaves
    it live in the one before.
    """
    failed = sorted(task for task, state in states.items() if state == "failed" and task != CLOSE_RUN)
    if failed:
        return Outcome("FAILED", f"failed in {', '.join(failed)}")
    skipped = {task for task, state in states.items() if state == "skipped" and "." not in task} - ON_FAILURE
    if not skipped:
        return Outcome("FINISHED", LIVE)
    if FIND_CHANGES in skipped:
        return Outcome("FINISHED", UNCHANGED)
    return Outcome("FINISHED", REJECTED if REGISTER in skipped else NOT_PROMOTED)


def set_by_hand(state: Literal["success", "failed"]) -> Outcome:
    """The outcome of a DAG run to which a person gave its last state before its tasks were done."""
    return Outcome("FINISHED" if state == "success" else "KILLED", ENDED_BY_HAND)
