"""Hands the reason of a failure on to the task that reports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle.errors import LifecycleError
from lifecycle.model.names import FAILURE_KEY


@contextmanager
def handed_on(ti: Any) -> Iterator[None]:
    """Leave the message of this package's errors in the task's XCom under `FAILURE_KEY`, and raise them again."""
    try:
        yield
    except LifecycleError as error:
        ti.xcom_push(key=FAILURE_KEY, value=str(error))
        raise


def reasons(ti: Any, task_ids: list[str]) -> list[str]:
    """The messages that these tasks of the same run left."""
    return [reason for reason in ti.xcom_pull(task_ids=task_ids, key=FAILURE_KEY) or [] if reason]
