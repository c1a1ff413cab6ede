"""The type of the fixture that sets an Airflow connection and `LIFECYCLE_*` settings for one test."""

from __future__ import annotations

from collections.abc import Callable

Connect = Callable[..., None]
