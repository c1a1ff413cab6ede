"""What can go wrong between a client and the served detector."""

from lifecycle.errors import LifecycleError


class NotServing(LifecycleError):
    """Nothing answers at the address, the model is not ready, or the answer did not come in time."""

    retryable = True


class RequestRefused(LifecycleError):
    """The server answered that it cannot take this request; sending it again changes nothing."""


class WrongModelServed(LifecycleError):
    """What answers is another version, or other bytes, than expected."""


class DetectionsDiffer(LifecycleError):
    """The served model finds something else than the trained one did on the same picture."""


class SamplesUnusable(LifecycleError):
    """The folder of verification pictures is missing, or is not what the evaluation writes."""
