"""Hypothesis: the same examples each time, and none refused because the machine was slow."""

from __future__ import annotations

from hypothesis import settings

settings.load_profile("ci")
