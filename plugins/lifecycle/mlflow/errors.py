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
    from mlflow.exceptions import RestException

    if not isinstance(error, RestException):
        return False
    status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
    return status < 500 and status != 429
