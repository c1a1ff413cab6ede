"""Bad answers on purpose, for tests: 403, 429 and 500 at random, and answers that take their time.

``PUT <server>/faults`` with ``{"403": 0.1, "429": 0.2, "500": 0.1, "slow": 0.1, "slowSeconds": 2, "seed": 1}``, each a
share of 0 to 1; ``{}`` ends it. Only the administrator may, who is not hit: what a test does by hand works.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from sandbox.kube.errors import ApiError

ANSWERS = {
    403: "is forbidden: this is an answer of the sandbox's faults",
    429: "Too many requests, please try again later.\n",
    500: "an error on the server has prevented the request from succeeding",
}
_KEYS = {*map(str, ANSWERS), "slow", "slowSeconds", "seed"}


class Faults:
    """Which share of the answers is bad, in one sequence that a seed makes repeatable."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}
        self._seconds = 0.0
        self._random = random.Random()

    def set(self, wanted: Any) -> None:
        """Replace the shares. Raises ApiError 400 for what is no share."""
        if not isinstance(wanted, dict) or not set(wanted) <= _KEYS:
            raise ApiError(400, f"faults are an object with the keys {', '.join(sorted(_KEYS))}")
        shares = {key: float(value) for key, value in wanted.items() if key not in ("slowSeconds", "seed")}
        if any(not 0 <= share <= 1 for share in shares.values()) or sum(shares.values()) > 1:
            raise ApiError(400, "each fault has a share from 0 to 1, and all together at most 1")
        self._shares, self._seconds = shares, float(wanted.get("slowSeconds", 2))
        self._random = random.Random(wanted.get("seed"))

    async def strike(self) -> None:
        """Let a request pass, wait first, or raise ApiError."""
        drawn = self._random.random() if self._shares else 1.0
        for name, share in self._shares.items():
            if drawn < share:
                if name == "slow":
                    await asyncio.sleep(self._seconds)
                    return
                # Flow control's answer is plain text.
                raise ApiError(int(name), ANSWERS[int(name)], unheard=name == "429")
            drawn -= share
