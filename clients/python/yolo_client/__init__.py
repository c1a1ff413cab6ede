"""Talks to the served detector: typed clients, the check that a rollout really serves, and drawing.

numpy, Pillow and tritonclient only: nothing of the training is needed to use a detector.
"""

from lifecycle.serving.async_client import AsyncDetector
from lifecycle.serving.client import Detector
from lifecycle.serving.draw import draw_detections
from lifecycle.serving.errors import (
    DetectionsDiffer,
    NotServing,
    RequestRefused,
    SamplesUnusable,
    WrongModelServed,
)
from lifecycle.serving.served import ServedModel
from lifecycle.serving.verify import VerificationReport, verify_served

__all__ = [
    "AsyncDetector",
    "DetectionsDiffer",
    "Detector",
    "NotServing",
    "RequestRefused",
    "SamplesUnusable",
    "ServedModel",
    "VerificationReport",
    "WrongModelServed",
    "draw_detections",
    "verify_served",
]
