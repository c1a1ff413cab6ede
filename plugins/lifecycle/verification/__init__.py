"""Whether a rollout really serves: asks the server itself, and compares its answers with those of the training."""

from lifecycle.errors import AnswersDiffer, SamplesUnusable, ServingError, ServingUnavailable, WrongVersionServed
from lifecycle.verification.errors import typed_errors
from lifecycle.verification.folder import check_folder
from lifecycle.verification.latency import compare_latency
from lifecycle.verification.verify import VerificationReport, ask_served, check_identity, verify_served

__all__ = [
    "AnswersDiffer",
    "SamplesUnusable",
    "ServingError",
    "ServingUnavailable",
    "VerificationReport",
    "WrongVersionServed",
    "ask_served",
    "check_folder",
    "check_identity",
    "compare_latency",
    "typed_errors",
    "verify_served",
]
