"""What comes often gets something made for it alone, beside what serves everything."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Kind = TypeVar("Kind", bound=Hashable)
Made = TypeVar("Made")


class Frequent(Generic[Kind, Made]):
    """For each kind that was asked for `after` times, what `make` makes of it, in a thread beside; for `most` kinds.

    The first ones that come so often keep their places for as long as this lives: what is made takes memory and, while
    it is made, processor time, so neither may depend on what clients send next.
    """

    def __init__(self, make: Callable[[Kind], Made], most: int, after: int) -> None:
        """Makes nothing yet; where `make` raises RuntimeError, that kind stays without."""
        self._make = make
        self._most = most
        self._after = after
        self._asked: Counter[Kind] = Counter()
        self._begun: set[Kind] = set()
        self._made: dict[Kind, Made] = {}
        self._lock = threading.Lock()
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="frequent")

    def find(self, kind: Kind) -> Made | None:
        """What was made for this kind; None: nothing yet. For several threads at the same time; never waits for it."""
        made = self._made.get(kind)
        if made is None and len(self._begun) < self._most:
            with self._lock:
                self._asked[kind] += 1
                due = self._asked[kind] == self._after and len(self._begun) < self._most
                if due:
                    self._begun.add(kind)
            if due:
                self._maker.submit(self._make_one, kind)
        return made

    def close(self) -> None:
        """Ends the thread, when it has made what it has begun; nothing more is made."""
        self._most = 0
        self._maker.shutdown()

    def _make_one(self, kind: Kind) -> None:
        with suppress(RuntimeError):
            self._made[kind] = self._make(kind)
