"""Settings of cluster/ as a test wants them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.settings import Settings


def changed(settings: Settings, **values: Any) -> Settings:
    """Settings with some values replaced, by their dotted names."""
    return replace(settings, values={**settings.values, **values})


def served(settings: Settings, kind: str, **more: Any) -> Settings:
    """The settings with another PostgreSQL."""
    return changed(settings, **{"platform.postgresql": kind, "postgresql.type": kind, **more})
