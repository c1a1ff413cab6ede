"""The retry policy of every task, in Airflow's form; what it decides is in `policy.retries`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from lifecycle.policy.retries import why_no_retry

if TYPE_CHECKING:
    from airflow.sdk import Context


class RetryTransientFailures(RetryPolicy):
    """Fails at once where the same input must fail again; otherwise leaves it to the task's `retries`."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide from the exception's chain and, for a pod, from its exit code."""
        why = why_no_retry(exception, exit_code(context["task"]) if context is not None else None)
        return RetryDecision.default() if why is None else RetryDecision.fail(why)

    def serialize(self) -> dict[str, Any]:
        """No parameters."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryTransientFailures:
        """The inverse of `serialize`."""
        return cls()


def exit_code(task: Any) -> int | None:
    """The exit code of the base container of a KubernetesPodOperator's last pod, if the task has one."""
    status = getattr(getattr(task, "remote_pod", None), "status", None)
    for container in getattr(status, "container_statuses", None) or []:
        if container.name == task.base_container_name and container.state and container.state.terminated:
            return int(container.state.terminated.exit_code)
    return None
