"""Times as Kubernetes writes them, and durations as Argo CD reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sandbox.argocd.errors import UnsupportedError

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def now() -> str:
    """The time in UTC, to the second."""
    return stamp(datetime.now(UTC))


def later(seconds: float) -> str:
    """The time in so many seconds."""
    return stamp(datetime.now(UTC) + timedelta(seconds=seconds))


def stamp(time: datetime) -> str:
    """RFC 3339 to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(duration: str | int) -> float:
    """Seconds of a duration such as 5s, 3m, 1h30m or 10. Raises UnsupportedError for anything else."""
    text = str(duration)
    if re.fullmatch(r"\d+", text):
        return float(text)
    if not re.fullmatch(r"(\d+(ms|s|m|h|d))+", text):
        raise UnsupportedError(f"{text!r} is no duration; write one like 5s or 3m.")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", text))
