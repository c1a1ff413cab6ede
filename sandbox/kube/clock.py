"""Timestamps in the three precisions that Kubernetes objects and logs use. All are UTC and end with ``Z``."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def now() -> str:
    """Seconds precision, as in ``metadata.creationTimestamp``."""
    return stamp(time.time())


def stamp(seconds: float) -> str:
    """The RFC3339 text, in whole seconds, of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro() -> str:
    """Microseconds precision, as in managedFields of events."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nano() -> str:
    """RFC3339Nano, as in container logs. Always nine digits, so that texts sort like times."""
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"


def parse(text: str) -> float:
    """Unix time of an RFC3339 text. Raises ValueError when it is not one."""
    head, dot, fraction = text.rstrip("Z").partition(".")
    if dot and text.endswith("Z"):
        text = f"{head}.{fraction[:6]:0<6}+00:00"
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.timestamp()


def age(timestamp: str | None) -> str:
    """How long ago, in kubectl's short form: ``4s``, ``3m12s``, ``5h``, ``2d``."""
    if not timestamp:
        return "<unknown>"
    return duration(max(0.0, time.time() - parse(timestamp)))


def duration(seconds: float) -> str:
    """kubectl's short form of a duration."""
    span = timedelta(seconds=int(seconds))
    total = int(span.total_seconds())
    if total < 120:
        return f"{total}s"
    minutes, left = divmod(total, 60)
    if minutes < 10:
        return f"{minutes}m{left}s" if left else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, left_minutes = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{left_minutes}m" if left_minutes else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{hours // 24}d"
