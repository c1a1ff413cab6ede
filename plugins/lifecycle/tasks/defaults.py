"""What every task of this project's DAGs has, unless it says otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from lifecycle.settings import settings
from lifecycle.tasks.retry_policy import RetryTransientFailures

# Limit of a task that asks servers and computes nothing.
QUICK = timedelta(minutes=10)


def by_hand(*tags: str) -> dict[str, Any]:
    """What the DAGs have in common that run only when a person triggers them; `tags`: besides `yolo` and `gitops`."""
    return {
        "schedule": None,
        "start_date": datetime(2026, 1, 1),
        "catchup": False,
        "max_active_runs": 4,
        "tags": ["yolo", *tags, "gitops"],
        "default_args": default_args(retries=3),
    }


def default_args(*, retries: int) -> dict[str, Any]:
    """The DAG's `default_args`: owner, and retries with backoff where a retry can help."""
    return {
        "owner": "yolo-lifecycle",
        "retries": retries,
        "retry_delay": timedelta(seconds=settings().retry_delay),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": RetryTransientFailures(),
    }
