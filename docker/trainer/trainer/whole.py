"""Writes files that several pods share: whoever reads one meets the old content or the new, never a half."""

from __future__ import annotations

import uuid
from pathlib import Path


def write_whole(place: Path, content: bytes) -> None:
    """Replace a file, or make it. Pods may do so at once, and each has the same process id in its container."""
    scratch = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        scratch.write_bytes(content)
        scratch.replace(place)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
