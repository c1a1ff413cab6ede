"""Which failures are worth another try.

A retry helps against an outage and a killed pod; it cannot help against a dataset that is broken or a module that is
missing. Python tasks say so by `LifecycleError.retryable`, the trainer's pods by exit code 2 (docs/contracts.md).
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
    if missing := _missing_module(exception):
        return f"the Python module {missing} is missing from this image: a retry finds it no more than this try did"
    for cause in chain(exception):
        if isinstance(cause, LifecycleError):
            return None if cause.retryable else "a retry cannot help: see the error"
    if exit_code == BAD_INPUT:
        return f"the pod ended with exit code {BAD_INPUT}: its input is wrong, see the end of its log"
    return None


def _missing_module(exception: BaseException) -> str:
    """The module that could not be imported, where that is why the task failed; else nothing.

    Only causes that are named (`raise … from`): while they handle a failed import, libraries try something else.
    """
    current: BaseException | None = exception
    while current is not None:
        if isinstance(current, ImportError):
            return current.name or str(current)
        current = current.__cause__
    return ""


def chain(exception: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, as a traceback would show them."""
    current: BaseException | None = exception
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
