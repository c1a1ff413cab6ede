"""What MLflow's client raises, as this package's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle.errors import LifecycleError, RegistryError, RegistryUnavailable


@contextmanager
def typed_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow's client raises into this package's errors, with the server's URL and the next step."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except LifecycleError:
        raise
    except (MlflowException, RequestException) as error:
        text = " ".join(str(error).split())
        if answered(error):
            raise RegistryError(f"MLflow at {uri} refused a request: {text}") from error
        raise RegistryUnavailable(
            f"MLflow at {uri} does not answer: {text} Nothing was decided without it. Check that the server runs and "
            "that the Airflow connection names it; the task is then tried again."
        ) from error


def answered(error: Exception) -> bool:
    """Whether the server itself gave a definite answer, which a retry would only repeat."""
    status = status_of(error)
    return status is not None and status < 500 and status not in (408, 429)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that the server answered with; None where it did not answer, or MLflow's client does not say.

    The client gives 500 to whatever has no status of its own, such as a refused connection, and its artifact stores
    raise the errors of `requests`.
    """
    from mlflow.exceptions import MlflowException

    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    if isinstance(error, MlflowException):
        status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return None if status == 500 else status
    return None
