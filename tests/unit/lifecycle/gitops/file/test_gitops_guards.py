"""Which bumps stop, and for what reason."""

from typing import Any

import pytest
from lifecycle.gitops import Bump, PinnedModel
from lifecycle.gitops.file.guards import candidate_after, pin_after, why_stop
from lifecycle.model.pin import Pin


def pin(version: int | None) -> Pin:
    return Pin(None, "", "") if version is None else Pin(version, f"{version:064x}", f"run{version}")


def outcome(
    there: int | None, wanted: int | None, *, held: bool = False, reverted: int | None = None, **more: Any
) -> str:
    bump = Bump(environment="e", app="a", model="m", registered_model="r", pin=pin(wanted), **more)
    stop = why_stop(bump, PinnedModel("m", "r", pin(there), held), None if reverted is None else pin(reverted))
    return stop.outcome if stop else "go"


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        (None, 1, "go"),
        (1, 2, "go"),
        (2, 2, "already_there"),
        (3, 2, "superseded"),
        (10, 9, "superseded"),  # numbers, not texts
        (1, None, "superseded"),
        (None, None, "already_there"),
    ],
)
def test_a_promotion_only_moves_on(there: int | None, wanted: int | None, expected: str) -> None:
    assert outcome(there, wanted) == expected


def test_the_same_number_with_another_checksum_is_corrected() -> None:
    bump = Bump(environment="e", app="a", model="m", registered_model="r", pin=pin(2))
    assert why_stop(bump, PinnedModel("m", "r", Pin(2, "0" * 64, "x"), False), None) is None


@pytest.mark.parametrize(("beside", "expected"), [(None, "go"), ("old", "go"), ("older", "superseded")])
def test_a_proved_candidate_does_not_take_back_code_that_was_released_meanwhile(
    beside: str | None, expected: str
) -> None:
    live = PinnedModel("m", "r", Pin(1, "0" * 64, "x", "old"), False)
    bump = Bump(environment="e", app="a", model="m", registered_model="r", pin=pin(2), code_beside=beside)
    stop = why_stop(bump, live, None)
    assert (stop.outcome if stop else "go") == expected


def test_a_hold_stops_machines_and_not_people() -> None:
    assert outcome(1, 2, held=True) == "held"
    assert outcome(2, 1, held=True, kind="restore", reverts="c", reverted=2) == "held"
    assert outcome(2, 1, held=True, kind="rollback") == "go"
    assert outcome(1, 1, held=True) == "already_there"


@pytest.mark.parametrize(
    ("there", "expected"), [(2, "go"), (3, "superseded"), (1, "already_there"), (None, "superseded")]
)
def test_a_restore_takes_back_only_what_its_commit_wrote(there: int | None, expected: str) -> None:
    assert outcome(there, 1, kind="restore", reverts="c", reverted=2) == expected


@pytest.mark.parametrize(
    ("there", "held", "hold", "expected"), [(1, False, True, "go"), (1, True, True, "already_there")]
)
def test_a_rollback_to_the_same_version_may_still_set_the_hold(
    there: int, held: bool, hold: bool, expected: str
) -> None:
    assert outcome(there, 1, held=held, kind="rollback", hold=hold) == expected


def candidate_outcome(
    kind: Any, wanted: int, *, live: int | None = 1, there: int | None = None, held: bool = False
) -> str:
    bump = Bump(environment="e", app="a", model="m", registered_model="r", pin=pin(wanted), kind=kind)
    stop = why_stop(bump, PinnedModel("m", "r", pin(live), held, None if there is None else pin(there)), None)
    return stop.outcome if stop else "go"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "go"),
        ({"live": None}, "go"),
        ({"there": 2}, "already_there"),
        ({"there": 2, "held": True}, "already_there"),
        ({"held": True}, "held"),
        ({"live": 2}, "superseded"),  # it is live: nothing is left to prove
        ({"live": 3}, "superseded"),
        ({"there": 3}, "superseded"),  # another run's, newer
        ({"live": None, "there": 1}, "go"),  # another run's, older: it is replaced
    ],
)
def test_a_candidate_goes_beside_an_older_live_version_only(more: dict[str, Any], expected: str) -> None:
    assert candidate_outcome("candidate", 2, **more) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"there": 2}, "go"),
        # A hold keeps what is live; the run's own candidate still goes away.
        ({"there": 2, "held": True}, "go"),
        ({"there": 3}, "superseded"),
        ({}, "already_there"),
        ({"live": 2}, "already_there"),
    ],
)
def test_only_the_own_candidate_is_discarded(more: dict[str, Any], expected: str) -> None:
    assert candidate_outcome("discard", 2, **more) == expected


@pytest.mark.parametrize(
    ("kind", "there", "live_after", "candidate_after_it"),
    [
        ("candidate", None, 1, 2),
        ("candidate", 9, 1, 2),
        ("discard", 2, 1, None),
        ("promote", 2, 2, None),
        ("promote", 3, 2, 3),  # another run's candidate is that run's
        ("rollback", 3, 2, 3),
    ],
)
def test_what_the_entry_holds_after_a_bump(
    kind: Any, there: int | None, live_after: int, candidate_after_it: int | None
) -> None:
    bump = Bump(environment="e", app="a", model="m", registered_model="r", pin=pin(2), kind=kind)
    entry = PinnedModel("m", "r", pin(1), False, None if there is None else pin(there))
    assert pin_after(bump, entry) == pin(live_after)
    assert candidate_after(bump, entry) == (None if candidate_after_it is None else pin(candidate_after_it))
