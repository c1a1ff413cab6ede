"""Which failures are worth another try.

A retry helps against an outage and a killed pod; it cannot help against a dataset that is broken. Python tasks say so
by `LifecycleError.retryable`, the trainer's pods by exit code 2 (docs/contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.errors import LifecycleError

BAD_INPUT = 2


def why_no_retry(exception: BaseException, exit_code: int | None) -> str | None:
    """Why the same input must fail again, or None where a retry may help.

    Args:
        exception: what the task raised; this package's own error in its chain decides.
        exit_code: of the task's pod, where it had one.
    """
    for cause in chain(exception):
        if isinstance(cause, LifecycleError):
            return None if cause.retryable else "a retry cannot help: see the error"
    if exit_code == BAD_INPUT:
        return f"the pod ended with exit code {BAD_INPUT}: its input is wrong, see the end of its log"
    return None


def chain(exception: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, as a traceback would show them."""
    current: BaseException | None = exception
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
