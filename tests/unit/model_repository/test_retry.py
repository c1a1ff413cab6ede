"""Deadlines and pauses."""

import random
import threading
import time

import pytest
from model_server.retry import LONGEST_PAUSE, Deadline, pauses, within


def test_pauses_grow_are_jittered_and_capped() -> None:
    one, two = pauses(random.Random(1)), pauses(random.Random(2))
    lengths = [one(attempt) for attempt in range(40)]
    assert all(0.25 * 2**attempt <= lengths[attempt] <= 0.5 * 2**attempt for attempt in range(4))
    assert max(lengths) <= LONGEST_PAUSE
    assert min(lengths[10:]) >= LONGEST_PAUSE / 2
    assert [two(attempt) for attempt in range(40)] != lengths


def test_within_gives_the_result_or_the_error() -> None:
    assert within(Deadline(5), lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(Deadline(5), lambda: 1 // 0)
    assert within(Deadline(5), lambda: None) is None


def test_within_gives_up_at_the_deadline() -> None:
    release = threading.Event()
    started = time.monotonic()
    try:
        with pytest.raises(TimeoutError, match=r"0\.2 s"):
            within(Deadline(0.2), lambda: release.wait(30))
    finally:
        release.set()
    assert time.monotonic() - started < 5
