"""What a delivery tells the tasks after it."""

from __future__ import annotations

import pytest
from lifecycle.gitops import Delivery
from lifecycle.model.pin import Pin
from lifecycle.model.results import Outcome
from lifecycle.model.target import Target
from lifecycle.steps.handoff import CONTINUES, bump, described

FORMER, PIN = Pin(2, "a" * 64, "r2"), Pin(3, "b" * 64, "r3")


@pytest.mark.parametrize(
    ("outcome", "diff", "ours"),
    [
        ("pushed", "-2\n+3", True),
        ("requested", "-2\n+3", True),
        ("already_there", "-2\n+3", True),  # an earlier try of the same run made it
        ("already_there", "", False),  # somebody else did
        ("superseded", "", False),
        ("held", "", False),
    ],
)
def test_only_what_this_run_wrote_is_its_own_to_take_back(outcome: Outcome, diff: str, ours: bool) -> None:
    told = described(Delivery(outcome, "c1", FORMER, diff, "detail", PIN))
    assert told["ours"] is ours
    assert (Pin.from_xcom(told["former"]), Pin.from_xcom(told["pin"])) == (FORMER, PIN)
    assert ours <= (outcome in CONTINUES)


def test_bump_names_the_targets_entry() -> None:
    wanted = bump(Target("staging", "detector", "digits"), "digits-detector", PIN, kind="rollback", hold=True)
    assert (wanted.environment, wanted.app, wanted.model) == ("staging", "detector", "digits")
    assert (wanted.registered_model, wanted.pin, wanted.kind, wanted.hold) == ("digits-detector", PIN, "rollback", True)
