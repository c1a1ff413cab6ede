"""Airflow's settings of the tests, before anything imports Airflow."""

from __future__ import annotations

import tests.airflow_environment  # noqa: F401 — setting them is what it does
