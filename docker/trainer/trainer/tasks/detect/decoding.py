"""The end of a detector, which needs floats."""

from __future__ import annotations

import re


def decoding(operations: list[str]) -> list[str]:
    """Those that turn the head's convolutions into boxes and scores: coordinates of pixels do not fit in 8 bits."""
    layers = [int(found[1]) for name in operations if (found := re.match(r"/model\.(\d+)/", name))]
    if not layers:
        return []
    head = f"/model.{max(layers)}/"
    return [name for name in operations if name.startswith(head) and not re.search(r"/(one2one_)?cv[23]\b", name)]
