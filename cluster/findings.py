"""What the pre-flight says: one finding a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What was found: `ok`, `note` (it works, but know this) or `fail` (put it right before anything is installed)."""

    kind: Literal["ok", "note", "fail"]
    text: str

    def __str__(self) -> str:
        return f"  {self.kind:<5} {self.text}"


def ok(text: str) -> Finding:
    """Something that is as it should be."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Something to know."""
    return Finding("note", text)


def fail(text: str) -> Finding:
    """Something to put right first."""
    return Finding("fail", text)
