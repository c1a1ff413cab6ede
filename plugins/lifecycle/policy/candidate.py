"""Whether a candidate that finds the right boxes may go live: how long it takes, and what memory it needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

# Kubernetes' suffixes of quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_UNITS |= {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti|)")
# A pod that uses more of its limit while one client asks is killed when several do.
MEMORY_SHARE = 0.9
_RAISE = "raise resources.limits.memory in environment.yaml, and run again"


@dataclass(frozen=True)
class Latency:
    """Seconds that the candidate and the live version took for the same pictures, asked by turns; none: not asked."""

    candidate: Sequence[float]
    live: Sequence[float]

    @property
    def candidate_ms(self) -> float:
        """The candidate's median."""
        return 1000 * median(self.candidate)

    @property
    def live_ms(self) -> float | None:
        """The live version's median."""
        return 1000 * median(self.live) if self.live else None


def why_too_slow(latency: Latency, max_slowdown: float) -> str:
    """Why a candidate is too slow, or an empty text. `max_slowdown` 0 allows every slowdown."""
    live = latency.live_ms
    if live is None or not max_slowdown or latency.candidate_ms <= max_slowdown * live:
        return ""
    return (
        f"it takes {latency.candidate_ms:.1f} ms for a picture and the live version {live:.1f} ms: that is "
        f"{latency.candidate_ms / live:.1f} times as long, and at most {max_slowdown:g} times is allowed"
    )


def why_too_big(pods: list[dict[str, Any]], used: int | None) -> str:
    """Why a candidate needs too much memory, or an empty text.

    Args:
        pods: the candidate's pods as the API gives them.
        used: bytes that one of them uses; None: not measured.
    """
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or []:
            ended = [(container.get(state) or {}).get("terminated") or {} for state in ("state", "lastState")]
            if any(terminated.get("reason") == "OOMKilled" for terminated in ended):
                return f"its server in pod {pod['metadata']['name']} was killed because its memory ran out: {_RAISE}"
    limits = [limit for pod in pods if (limit := _memory_limit(pod)) is not None]
    if used is None or not limits or used <= MEMORY_SHARE * min(limits):
        return ""
    return (
        f"it uses {used / 2**20:.0f} MiB of memory with one client, and its limit is {min(limits) / 2**20:.0f} MiB: "
        f"{_RAISE}"
    )


def quantity(text: str) -> int:
    """A quantity of bytes as Kubernetes writes it.

    Raises:
        ValueError: it is none.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    return int(float(found[1]) * _UNITS[found[2]])


def _memory_limit(pod: dict[str, Any]) -> int | None:
    limits = [each.get("resources", {}).get("limits", {}).get("memory") for each in pod["spec"]["containers"]]
    return None if None in limits or not limits else sum(quantity(limit) for limit in limits)
