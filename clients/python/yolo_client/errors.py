"""What can go wrong between a client and the served detector. Each message says what happened and what to do next."""


class DetectorError(Exception):
    """Base of every error that this package raises on purpose. `retryable`: the same call may succeed later."""

    retryable: bool = False


class NotServing(DetectorError):
    """Nothing answers at the address, the model is not ready, or the answer did not come in time."""

    retryable = True


class RequestRefused(DetectorError):
    """The server answered that it cannot take this request; sending it again changes nothing."""


class WrongModelServed(DetectorError):
    """What answers is no detector of this project, or the server's configuration and memory name different models."""
