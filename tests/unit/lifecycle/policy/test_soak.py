"""Whether a version did well enough in a stage, from counters that start again with each server."""

from __future__ import annotations

import pytest
from lifecycle.policy.soak import Conduct, Counters, Tally, why_not

LIMITS = {"max_failure_ratio": 0.05, "max_latency_ms": 100.0}


def counters(requests: int, failures: int = 0, milliseconds: float = 10.0) -> Counters:
    return Counters(requests, failures, int((requests - failures) * milliseconds * 1e6))


def test_servers_are_added_up_also_those_that_started_again_or_ended() -> None:
    tally = Tally()
    tally.look("a", counters(10, 1))
    tally.look("b", counters(5))
    tally.look("a", counters(30, 2))
    tally.look("a", counters(4, 3))  # it counts less than before: a new process
    tally.look("c", counters(1))  # b is gone
    assert (tally.total.requests, tally.total.failures) == (40, 5)


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        (counters(0), None),
        (counters(100, 5), None),
        (counters(100, 6), "6.00% of the requests failed, 10.0 ms"),
        (counters(10, 10), "100.00% of the requests failed (Triton's statistics of 10 requests"),
        (counters(100, 0, 100.0), None),
        (counters(100, 0, 101.0), "at most 100 ms is allowed"),
    ],
)
def test_what_is_over_a_limit_is_told(counted: Counters, said: str | None) -> None:
    found = why_not(Conduct.of(counted), **LIMITS)
    assert (found is None) if said is None else (found is not None and said in found)


def test_a_latency_limit_of_zero_is_none() -> None:
    assert why_not(Conduct.of(counters(1, 0, 9999.0)), max_failure_ratio=0.05, max_latency_ms=0) is None
    assert Conduct.of(counters(0)).words == "no request came (Triton's statistics of 0 requests, mean latency)"
