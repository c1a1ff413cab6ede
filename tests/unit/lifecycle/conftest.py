"""Airflow's settings of the tests, before anything imports Airflow; connections and settings of one test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import tests.support.airflow_environment  # noqa: F401 — setting them is what it does
from tests.support.airflow_connections import Connect


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Set an Airflow connection and settings (`LIFECYCLE_*` without the prefix)."""
    from lifecycle.settings import settings

    def set_(name: str, connection: dict[str, object], **chosen: str) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        for key, value in chosen.items():
            monkeypatch.setenv(f"LIFECYCLE_{key}", value)
        settings.cache_clear()

    yield set_
    settings.cache_clear()
