"""Which classes come and go with a version, and whether it may go live with that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.policy.classes import class_change, decide_classes

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=8, unique=True)


@given(NAMES)
def test_the_same_classes_in_the_same_order_are_no_change(names: list[str]) -> None:
    assert class_change(names, names) is None
    assert decide_classes(None, 3, allowed=False).passed


@given(NAMES, NAMES)
def test_any_other_list_stops_a_version_unless_the_run_allows_it(new: list[str], old: list[str]) -> None:
    change = class_change(new, old)
    assert decide_classes(change, 3, allowed=False).passed == (new == old)
    assert decide_classes(change, 3, allowed=True).passed


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (["cat", "dog"], ["cat"], "came: dog"),
        (["cat"], ["cat", "dog"], "went: dog"),
        (["bird", "cat"], ["cat", "dog"], "came: bird; went: dog; have another number: cat"),
        # The same names, but a client that reads numbers would take each for the other.
        (["dog", "cat"], ["cat", "dog"], "have another number: dog, cat"),
        (["two\nlines"], ["cat"], "came: two lines; went: cat"),
        ([str(number) for number in range(13)], [], f"came: {', '.join(map(str, range(10)))} and 3 more"),
    ],
)
def test_what_changes_is_told_on_one_line(new: list[str], old: list[str], words: str) -> None:
    change = class_change(new, old)
    assert change is not None and change.words == words


def test_a_refusal_names_the_classes_and_the_way_out() -> None:
    reason = decide_classes(class_change(["cat"], ["dog"]), 3, allowed=False).reason
    assert "the live version 3 (came: cat; went: dog)" in reason
    assert "run again with allow_class_change" in reason
