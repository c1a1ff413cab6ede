"""How many processors this container may use: its limit, not the host's count."""

import math
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Threads:
    """Of one instance: those of an image that has all processors, and how many images it works on beside each other."""

    alone: int
    beside: int


def threads_of(wanted: int | None, instances: int) -> Threads:
    """The threads of each of so many instances; `wanted`: by its setting, None: by the processors and their share."""
    if wanted:
        return Threads(wanted, wanted)
    limit = cpu_limit()
    return Threads(limit, max(1, limit // instances))


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole processors, at least 1: the cgroup's quota (version 2 or 1) or the affinity mask, whichever is less."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass  # not version 2
    try:
        quota_us = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
        return None if quota_us <= 0 else quota_us / period_us
    except (OSError, ValueError):
        return None  # no cgroup: no limit
