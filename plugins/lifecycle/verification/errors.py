"""What the client raises while a served model is asked, as this project's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from yolo_client import DetectorError, NotServing, WrongModelServed

from lifecycle.errors import ServingError, ServingUnavailable, WrongVersionServed


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
