"""What becomes of the MLflow run when its DAG run ends."""

from __future__ import annotations

import pytest
from lifecycle.policy.outcome import Outcome, outcome, set_by_hand

TASKS = (
    "open_run",
    "find_changes",
    "train",
    "gate",
    "register",
    "promote",
    "verify_serving",
    "set_alias",
    "restore",
    "close_run",
)


def states(**changed: str | None) -> dict[str, str | None]:
    """A good run's states, as `close_run` finds them, with changes."""
    good: dict[str, str | None] = dict.fromkeys(TASKS, "success")
    return {**good, "restore": "skipped", "close_run": "running", **changed}


def after(task: str, state: str) -> dict[str, str | None]:
    """The tasks after one, in a state."""
    names = TASKS[TASKS.index(task) + 1 : TASKS.index("restore")]
    return dict.fromkeys(names, state)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Outcome("FINISHED", "live")),
        ({"discard_candidate": "skipped"}, Outcome("FINISHED", "live")),
        ({"find_changes": "skipped", **after("find_changes", "skipped")}, Outcome("FINISHED", "unchanged")),
        (after("gate", "skipped"), Outcome("FINISHED", "rejected")),
        (after("register", "skipped"), Outcome("FINISHED", "not promoted")),
        ({"train": "failed", **after("train", "upstream_failed")}, Outcome("FAILED", "failed in train")),
        (
            {"verify_serving": "failed", "set_alias": "upstream_failed", "restore": "failed"},
            Outcome("FAILED", "failed in restore, verify_serving"),
        ),
        (
            {"production.promote": "skipped", "production.restore": "skipped"},
            Outcome("FINISHED", "live"),
        ),
        ({"production.soak": "failed"}, Outcome("FAILED", "failed in production.soak")),
        # Tried again, after its first try had failed because of the others.
        ({"close_run": "failed"}, Outcome("FINISHED", "live")),
    ],
)
def test_the_states_of_the_tasks_decide(changed: dict[str, str | None], expected: Outcome) -> None:
    assert outcome(states(**changed)) == expected


def test_a_person_who_marks_the_dag_run_ends_it() -> None:
    assert set_by_hand("failed") == Outcome("KILLED", "ended by hand")
    assert set_by_hand("success") == Outcome("FINISHED", "ended by hand")
