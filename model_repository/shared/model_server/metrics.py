"""What the model adds to Triton's own metrics (port 8002)."""

from collections.abc import Mapping
from typing import Any

REASONS = ("INVALID_ARG", "INTERNAL")
INFO = ("version", "run_id", "sha256", "code_commit", "engine", "precision")


class Metrics:
    """The version in memory, and how many requests were answered with an error.

    Triton counts a request as a success when the model's own code answers it, even with an error, hence the counter.
    Triton keeps the series as long as this object lives, beyond the model's unloading: `finalize` has to let go of it.
    """

    def __init__(self, pb_utils: Any, model: str, info: Mapping[str, object]) -> None:
        """Adds the series.

        Args:
            pb_utils: Triton's module `triton_python_backend_utils`.
            model: name of the model on the server.
            info: what `model_info` tells.
        """
        family = pb_utils.MetricFamily
        self._info_family = family(
            name="yolo_model_info",
            description="The registered version that is loaded, in its labels; always 1",
            kind=family.GAUGE,
        )
        labels = {"model": model, "registered_model": str(info["name"])}
        self._info = self._info_family.Metric(labels=labels | {key: str(info[key]) for key in INFO})
        self._info.set(1)
        self._errors_family = family(
            name="yolo_request_errors_total",
            description="Requests that the model answered with an error (Triton counts them as successes)",
            kind=family.COUNTER,
        )
        self._errors = {
            reason: self._errors_family.Metric(labels={"model": model, "reason": reason}) for reason in REASONS
        }

    def error(self, reason: str) -> None:
        """Counts one request answered with an error; `reason` is one of REASONS."""
        self._errors[reason].increment(1)
