"""Whether a rollout really serves: asks the server itself, and compares its boxes with those of the training."""

from lifecycle.verification.errors import (
    DetectionsDiffer,
    SamplesUnusable,
    ServingError,
    ServingUnavailable,
    WrongVersionServed,
    typed_errors,
)
from lifecycle.verification.folder import check_folder
from lifecycle.verification.latency import compare_latency
from lifecycle.verification.verify import VerificationReport, check_identity, verify_served

__all__ = [
    "DetectionsDiffer",
    "SamplesUnusable",
    "ServingError",
    "ServingUnavailable",
    "VerificationReport",
    "WrongVersionServed",
    "check_folder",
    "check_identity",
    "compare_latency",
    "typed_errors",
    "verify_served",
]
