"""Shapes that come often, or are expected to, get a model for that shape alone, beside the one that takes any shape."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Shape = TypeVar("Shape", bound=Hashable)
Compiled = TypeVar("Compiled")


class HotShapes(Generic[Shape, Compiled]):
    """What `compiled` makes for each shape that was asked for `after` times, in a separate thread; at most `most`.

    The first shapes that come so often keep their places for as long as this lives: a compiled model takes memory and,
    while it is compiled, processor time, so neither may depend on what clients send next.
    """

    def __init__(
        self, compiled: Callable[[Shape], Compiled], most: int, after: int, found: Mapping[Shape, Compiled]
    ) -> None:
        """Compiles nothing yet; a shape for which `compiled` raises RuntimeError stays without a model.

        `found`: models that are there already, whose shapes keep their places from the start.
        """
        self._compiled = compiled
        self._most = most
        self._after = after
        self._asked: Counter[Shape] = Counter()
        self._begun: set[Shape] = set(found)
        self._found: dict[Shape, Compiled] = dict(found)
        self._lock = threading.Lock()
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="hot-shapes")

    def find(self, shape: Shape) -> Compiled | None:
        """The model for this shape; None: there is none yet. For several threads at the same time; never waits."""
        found = self._found.get(shape)
        if found is None and len(self._begun) < self._most:
            with self._lock:
                self._asked[shape] += 1
                due = self._asked[shape] == self._after and len(self._begun) < self._most
                if due:
                    self._begun.add(shape)
            if due:
                self._compiler.submit(self._compile_one, shape)
        return found

    def close(self) -> None:
        """Ends the thread, after what it has begun; nothing more is compiled."""
        self._most = 0
        self._compiler.shutdown()

    def _compile_one(self, shape: Shape) -> None:
        with suppress(RuntimeError):
            self._found[shape] = self._compiled(shape)
