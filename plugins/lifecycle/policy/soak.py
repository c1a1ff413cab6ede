"""Whether a version has done well in a stage: how many of its requests failed, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counters:
    """What a server has counted since it started: requests, those of them that failed, nanoseconds of the others."""

    requests: int = 0
    failures: int = 0
    nanoseconds: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.requests + other.requests, self.failures + other.failures, self.nanoseconds + other.nanoseconds
        )

    def since(self, former: Counters) -> Counters:
        """What came since a former look; a server that counts less than then has started again."""
        if self.requests < former.requests:
            return self
        return Counters(
            self.requests - former.requests, self.failures - former.failures, self.nanoseconds - former.nanoseconds
        )


@dataclass
class Tally:
    """The sum over all servers of a version, also of those that ended between two looks."""

    total: Counters = Counters()
    seen: dict[str, Counters] = field(default_factory=dict)

    def look(self, server: str, now: Counters) -> None:
        """Add what a server has counted since the last look at it."""
        self.total += now.since(self.seen.get(server, Counters()))
        self.seen[server] = now


@dataclass(frozen=True)
class Conduct:
    """How a version did; None: no request came, so there is no figure."""

    failure_ratio: float | None
    latency_ms: float | None
    source: str

    @classmethod
    def of(cls, counted: Counters) -> Conduct:
        """From Triton's own statistics: the mean over the requests that succeeded."""
        good = counted.requests - counted.failures
        return cls(
            counted.failures / counted.requests if counted.requests else None,
            counted.nanoseconds / good / 1e6 if good > 0 else None,
            f"Triton's statistics of {counted.requests} requests, mean latency",
        )

    @property
    def words(self) -> str:
        """For a sentence."""
        if self.failure_ratio is None:
            return f"no request came ({self.source})"
        latency = "" if self.latency_ms is None else f", {self.latency_ms:.1f} ms"
        return f"{self.failure_ratio:.2%} of the requests failed{latency} ({self.source})"


def why_not(conduct: Conduct, *, max_failure_ratio: float, max_latency_ms: float) -> str | None:
    """What is over a limit (0 for the latency: not judged); None: nothing, or nobody has asked."""
    if conduct.failure_ratio is not None and conduct.failure_ratio > max_failure_ratio:
        return f"{conduct.words}; at most {max_failure_ratio:.2%} may fail"
    if max_latency_ms and conduct.latency_ms is not None and conduct.latency_ms > max_latency_ms:
        return f"{conduct.words}; at most {max_latency_ms:g} ms is allowed"
    return None
