"""Which failures are worth another try.

A retry helps against an outage and a killed pod; it cannot help against a dataset that is broken. Python tasks say so
by `LifecycleError.retryable`, the trainer's pods by exit code 2 (docs/contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from airflow.sdk import Context

BAD_INPUT = 2


class WhereItHelps(RetryPolicy):
    """Fails at once where the same input must fail again; otherwise leaves it to the task's `retries`."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide from the exception's chain and, for a pod, from its exit code."""
        for cause in chain(exception):
            if isinstance(cause, LifecycleError):
                return (
                    RetryDecision.default()
                    if cause.retryable
                    else RetryDecision.fail("a retry cannot help: see the error")
                )
        if context is not None and exit_code(context["task"]) == BAD_INPUT:
            return RetryDecision.fail(
                f"the pod ended with exit code {BAD_INPUT}: its input is wrong, see the end of its log"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """No parameters."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WhereItHelps:
        """The inverse of `serialize`."""
        return cls()


def chain(exception: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, as a traceback would show them."""
    current: BaseException | None = exception
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def exit_code(task: Any) -> int | None:
    """The exit code of the base container of a KubernetesPodOperator's last pod, if the task has one."""
    status = getattr(getattr(task, "remote_pod", None), "status", None)
    for container in getattr(status, "container_statuses", None) or []:
        if container.name == task.base_container_name and container.state and container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None
