"""The errors that a command ends with, and the exit status of each.

Each message is one paragraph: what happened, to what, and what to do next.
"""


class TrainerError(Exception):
    """A failure that another attempt may not meet: a network, a server or a disk that was not there."""

    exit_status = 1


class InputError(TrainerError):
    """The dataset, the model, an option or the image is wrong: a retry cannot help."""

    exit_status = 2


class Disagreement(TrainerError):
    """The ONNX does not say what the PyTorch model says; it must not be served."""

    exit_status = 2


class TrackingError(TrainerError):
    """The MLflow server cannot be reached, or refused what it was given."""


class Terminated(BaseException):
    """SIGTERM arrived. Not an ``Exception``, so that no library's handler takes it for an error of its own."""

    exit_status = 143
