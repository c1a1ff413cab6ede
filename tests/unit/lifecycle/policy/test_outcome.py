"""What becomes of the MLflow run when its DAG run ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lifecycle.policy.outcome import Outcome, State, Task, end_unseen, outcome

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


def ended_tasks(changed: dict[str, str | None], minutes: dict[str, int]) -> dict[str, Task]:
    """Tasks that ended one after the other, a minute each, `close_run` as the last, or at the minutes given."""
    found = {**states(close_run="success"), **changed}
    order = {name: minutes.get(name, number) for number, name in enumerate(found)}
    times = {name: datetime(2026, 11, 1, 12, minute, tzinfo=UTC) for name, minute in order.items()}
    return {name: Task(state, times[name], times[name]) for name, state in found.items()}


@pytest.mark.parametrize(
    ("changed", "minutes", "state", "expected"),
    [
        ({}, {}, "success", None),
        ({"train": "failed", "close_run": "failed"}, {}, "failed", None),
        ({"close_run": "skipped"}, {}, "failed", Outcome("KILLED", "ended by hand")),
        ({"close_run": "skipped"}, {}, "success", Outcome("FINISHED", "ended by hand")),
        # Cleared without what follows them, and run again after `close_run`.
        ({}, {"open_run": 30}, "success", Outcome("FINISHED", "live")),
        ({"train": "failed"}, {"train": 30}, "failed", Outcome("FAILED", "failed in train")),
        (
            {**after("train", "upstream_failed"), "close_run": "failed"},
            {"train": 30},
            "failed",
            Outcome("FAILED", "failed in gate, promote, register, set_alias, verify_serving"),
        ),
        (
            {"close_run": "failed"},
            {"set_alias": 30},
            "failed",
            Outcome("FAILED", "failed in close_run, which was not cleared with set_alias"),
        ),
    ],
)
def test_an_end_that_the_last_task_did_not_see_is_told(
    changed: dict[str, str | None], minutes: dict[str, int], state: State, expected: Outcome | None
) -> None:
    assert end_unseen(ended_tasks(changed, minutes), state) == expected
