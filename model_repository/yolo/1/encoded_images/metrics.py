"""What the model adds to Triton's own metrics (port 8002)."""

from typing import Any

REASONS = ("INVALID_ARG", "INTERNAL")


class Errors:
    """How many requests this model itself answered with an error: the series of model_repository/yolo, by its own name.

    What the tensor model refuses or fails at is counted there, once, and not here again. Triton keeps the series as
    long as this object lives, beyond the model's unloading: `finalize` has to let go of it. The processes of several
    instances share one series.
    """

    def __init__(self, pb_utils: Any, model: str) -> None:
        """Adds the series, from 0.

        Args:
            pb_utils: Triton's module `triton_python_backend_utils`.
            model: name of the model on the server.
        """
        family = pb_utils.MetricFamily
        self._family = family(
            name="yolo_request_errors_total",
            description="Requests that the model answered with an error (Triton counts them as successes)",
            kind=family.COUNTER,
        )
        self._counters = {reason: self._family.Metric(labels={"model": model, "reason": reason}) for reason in REASONS}

    def count(self, reason: str) -> None:
        """Counts one request answered with an error; `reason` is one of REASONS."""
        self._counters[reason].increment(1)
