"""What can go wrong while a served model is asked, and what the client raises, as this package's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from yolo_client import DetectorError, NotServing, WrongModelServed

from lifecycle.errors import LifecycleError


class ServingError(LifecycleError):
    """The server answered, and the answer is a refusal, which another try would only repeat."""


class ServingUnavailable(ServingError):
    """Nothing answers at the address, the model is not ready, or the answer did not come in time."""

    retryable = True


class WrongVersionServed(ServingError):
    """What answers is another version or other bytes than expected, or no detector of this project."""


class DetectionsDiffer(LifecycleError):
    """The served model finds something else than the trained one did on the same picture."""


class SamplesUnusable(LifecycleError):
    """The folder of verification pictures is missing, or is not what the evaluation writes."""


@contextmanager
def typed_errors() -> Iterator[None]:
    """Turn what the client raises into this package's errors, with the same message."""
    try:
        yield
    except NotServing as error:
        raise ServingUnavailable(str(error)) from error
    except WrongModelServed as error:
        raise WrongVersionServed(str(error)) from error
    except DetectorError as error:
        raise ServingError(str(error)) from error
