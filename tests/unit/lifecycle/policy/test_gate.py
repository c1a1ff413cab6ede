"""Which candidates may go live."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.policy.gate import Scores, comparison, decide, provable

SCORE = st.floats(0, 1)


def scores(value: float) -> Scores:
    return {"mAP50": value, "mAP50-95": value / 2}


@given(SCORE, SCORE, SCORE, SCORE)
def test_passes_exactly_when_both_conditions_hold(new: float, old: float, least: float, loss: float) -> None:
    decision = decide(scores(new), scores(old), least=least, max_regression=loss)
    assert decision.passed == (new >= least and old - new <= loss)


@given(SCORE, SCORE)
def test_without_a_live_version_only_the_least_counts(new: float, least: float) -> None:
    assert decide(scores(new), None, least=least, max_regression=0).passed == (new >= least)


def test_says_by_how_much_it_is_below_the_least() -> None:
    decision = decide(scores(0.8), None, least=0.85, max_regression=0)
    assert not decision.passed
    assert "0.8000 is 0.0500 below the least that is wanted, 0.8500" in decision.reason


def test_says_by_how_much_it_is_worse_than_the_live_version() -> None:
    decision = decide(scores(0.9), scores(0.95), least=0.5, max_regression=0.01)
    assert not decision.passed
    assert "0.9000 is 0.0500 below the live version's 0.9500; at most 0.0100 is allowed" in decision.reason


def test_better_than_live_passes_whatever_the_allowed_loss() -> None:
    assert decide(scores(0.96), scores(0.95), least=0.5, max_regression=0).passed


@pytest.mark.parametrize(("images", "passes"), [(8, True), (1, True), (0, False)])
def test_candidate_that_finds_nothing_clear_is_not_promoted(images: int, passes: bool) -> None:
    assert provable(images).passed is passes


def test_comparison_shows_both_side_by_side() -> None:
    table = comparison({"mAP50": 0.9, "mAP50-95": 0.7}, {"mAP50": 0.8, "mAP50-95": 0.6}, 3)
    assert "live (version 3)" in table
    assert "| mAP50 | 0.9000 | 0.8000 |" in table
    assert "| mAP50-95 | 0.7000 | – |" in comparison({"mAP50": 0.9, "mAP50-95": 0.7}, None, None)
