"""The arithmetic of a rolling update, as Kubernetes' deployment controller does it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Replicas:
    """One ReplicaSet: how many pods it asks for and how many of them are available."""

    wanted: int
    available: int


def limits(desired: int, surge: int | str, unavailable: int | str) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as counts: a percentage of surge is rounded up, of unavailability down."""
    most = _count(surge, desired, math.ceil)
    least = _count(unavailable, desired, math.floor)
    # Both 0 after rounding would never move.
    return (most, least) if most or least else (0, 1)


def _count(value: int | str, desired: int, rounding: Callable[[float], int]) -> int:
    if isinstance(value, int):
        return value
    return rounding(int(value.removesuffix("%")) * desired / 100)


def grow(new: Replicas, old: list[Replicas], desired: int, surge: int) -> int:
    """How many pods the new ReplicaSet should ask for."""
    if new.wanted >= desired:
        return desired
    room = desired + surge - new.wanted - sum(item.wanted for item in old)
    return new.wanted + max(0, min(room, desired - new.wanted))


def shrink(new: Replicas, old: list[Replicas], desired: int, unavailable: int) -> list[int]:
    """How many pods each old ReplicaSet (oldest first) should still ask for."""
    wanted = [item.wanted for item in old]
    needed = desired - unavailable
    new_unavailable = new.wanted - min(new.available, new.wanted)
    spare = new.wanted + sum(wanted) - needed - new_unavailable
    if spare <= 0:
        return wanted
    # First what does not answer anyway, then what does.
    for index, item in enumerate(old):
        take = max(0, min(spare, item.wanted - item.available))
        wanted[index] -= take
        spare -= take
    available = new.available + sum(min(item.available, wanted[i]) for i, item in enumerate(old))
    spare = min(spare, available - needed)
    for index in range(len(old)):
        take = max(0, min(spare, wanted[index]))
        wanted[index] -= take
        spare -= take
    return wanted
