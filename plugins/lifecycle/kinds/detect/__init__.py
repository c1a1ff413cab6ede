"""Detectors: objects in boxes."""

from __future__ import annotations

from pydantic import Field

from lifecycle.kinds.kind import Gate, Kind


class DetectGate(Gate):
    """What a detector has to reach on the held-out split before it is registered."""

    min_map50: float = Field(
        default=0.5,
        title="Least mAP50",
        ge=0,
        le=1,
        description="A candidate below this on the held-out split is not promoted.",
    )
    max_regression: float = Field(
        default=0.01,
        title="Largest loss against the live version",
        ge=0,
        le=1,
        description="A candidate whose mAP50 is lower than the live version's by more than this is not promoted.",
    )


KIND = Kind(
    name="detect",
    title="YOLO detector",
    noun="detector",
    start="yolo11n.pt",
    image_size=640,
    figures=("mAP50", "mAP50-95"),
    least="min_map50",
    gate=DetectGate,
    output="detections",
)
