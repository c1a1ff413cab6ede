"""Lines on standard output, which the DAG's task shows as its log."""

from __future__ import annotations

import sys
import time


def say(message: str) -> None:
    """Print a line at once, whatever buffers are between this process and the log."""
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


class Progress:
    """Says how far a long count has come, at most every ``every`` seconds, so that short work stays quiet."""

    def __init__(self, what: str, total: int, every: float = 5.0) -> None:
        self._what = what
        self._total = total
        self._every = every
        self._done = 0
        self._began = self._said = time.monotonic()

    def step(self, count: int = 1) -> None:
        """Count one more item, or several."""
        self._done += count
        now = time.monotonic()
        if now - self._said >= self._every and self._done < self._total:
            left = (now - self._began) / self._done * (self._total - self._done)
            say(f"{self._what}: {self._done}/{self._total}, about {left:.0f} s left")
            self._said = now
