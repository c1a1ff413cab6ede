"""What every task of this project's DAGs has, unless it says otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lifecycle.settings import settings
from lifecycle.tasks.retry_policy import RetryTransientFailures

# Limit of a task that asks servers and computes nothing.
QUICK = timedelta(minutes=10)


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
