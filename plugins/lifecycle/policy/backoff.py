"""How long to wait between the tries of one call."""

from __future__ import annotations

import random
from collections.abc import Iterator

LONGEST = 30.0


def pauses(count: int, first: float = 1.0) -> Iterator[float]:
    """Seconds before each of `count` further tries: doubling, at most `LONGEST`.

    Up to a half is left out at random, so that callers whom one outage hit do not come back together.
    """
    for number in range(count):
        yield min(first * 2**number, LONGEST) * random.uniform(0.5, 1.0)
