"""Which candidates that find the right boxes may go live: time and memory."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.policy.candidate import Latency, quantity, why_too_big, why_too_slow

MIB = 2**20


@pytest.mark.parametrize(
    ("candidate", "live", "allowed", "refused"),
    [
        ([0.010], [0.010], 3.0, False),
        ([0.031], [0.010], 3.0, True),
        ([0.029], [0.010], 3.0, False),
        ([0.900], [0.010], 0.0, False),  # not judged
        ([0.900], [], 3.0, False),  # nothing is live
        ([0.010, 0.010, 9.0], [0.010, 0.010, 0.010], 3.0, False),  # one hiccup of the machine is no slowness
    ],
)
def test_a_candidate_may_take_so_many_times_as_long_as_the_live_version(
    candidate: list[float], live: list[float], allowed: float, refused: bool
) -> None:
    assert bool(why_too_slow(Latency(candidate, live), allowed)) == refused


def test_a_slow_candidate_is_told_with_both_times() -> None:
    said = why_too_slow(Latency([0.05], [0.01]), 3.0)
    assert said == (
        "it takes 50.0 ms for a picture and the live version 10.0 ms: that is 5.0 times as long, and at most 3 times "
        "is allowed"
    )


def pod(limit: str | None = "1Gi", **container: Any) -> dict[str, Any]:
    resources = {"limits": {"memory": limit}} if limit else {}
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "triton", "resources": resources}]},
        "status": {"containerStatuses": [{"name": "triton", **container}]},
    }


@pytest.mark.parametrize(
    ("pods", "used", "said"),
    [
        ([pod()], None, ""),
        ([pod()], 900 * MIB, ""),
        ([pod()], 1000 * MIB, "it uses 1000 MiB of memory with one client, and its limit is 1024 MiB"),
        ([pod(None)], 10**12, ""),
        # A restart because MLflow was unreachable at the start is no fault of the version.
        ([pod(restartCount=1, lastState={"terminated": {"exitCode": 1, "reason": "Error"}})], None, ""),
        ([pod(lastState={"terminated": {"reason": "OOMKilled"}})], None, "p was killed because its memory ran out"),
        ([pod(state={"terminated": {"reason": "OOMKilled"}})], None, "p was killed because its memory ran out"),
    ],
)
def test_a_candidate_stays_below_its_memory_limit(pods: list[dict[str, Any]], used: int | None, said: str) -> None:
    why = why_too_big(pods, used)
    assert said in why and bool(why) == bool(said)


@pytest.mark.parametrize(
    ("text", "number"), [("128974848", 128974848), ("123Mi", 123 * MIB), ("1.5Gi", 1536 * MIB), ("129e6", 129_000_000)]
)
def test_a_quantity_is_read_as_kubernetes_writes_it(text: str, number: int) -> None:
    assert quantity(text) == number
    with pytest.raises(ValueError, match="is no quantity"):
        quantity(f"{text} bytes")
