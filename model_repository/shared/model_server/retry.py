"""Waiting for something that may come back: a deadline, and retries whose pauses grow and are jittered."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0


class Deadline:
    """A point in time that all steps of one load share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, not below 0."""
        return max(0.0, self._end - time.monotonic())


def within(deadline: Deadline, action: Callable[[], Result]) -> Result:
    """Runs an action that has no time limit of its own.

    An answer that trickles in resets every timeout on sockets, so the action gets a thread that is abandoned at the
    deadline: the process ends soon after, because the model then fails to load.

    Raises:
        TimeoutError: the deadline passed first.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="download")
    thread.start()
    thread.join(deadline.left)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no end within {deadline.seconds:g} s")
    return results[0]


def pauses(random_source: random.Random | None = None) -> "Callable[[int], float]":
    """Capped exponential pauses with jitter: half of each is random, so that pods do not come back all at once."""
    source = random_source or random.Random()

    def pause(attempt: int) -> float:
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 16))
        return longest * source.uniform(0.5, 1.0)

    return pause
