"""Classifiers: one class an image."""

from __future__ import annotations

from pydantic import Field

from lifecycle.kinds.kind import Gate, Kind


class ClassifyGate(Gate):
    """What a classifier has to reach on the held-out split before it is registered."""

    min_top1: float = Field(
        default=0.8,
        title="Least top-1",
        ge=0,
        le=1,
        description="A candidate that is right about a smaller share of the held-out images is not promoted.",
    )
    max_regression: float = Field(
        default=0.01,
        title="Largest loss against the live version",
        ge=0,
        le=1,
        description="A candidate whose top-1 is lower than the live version's by more than this is not promoted.",
    )


KIND = Kind(
    name="classify",
    title="Image classifier",
    noun="classifier",
    start="resnet18",
    image_size=224,
    figures=("top1", "top5"),
    least="min_top1",
    gate=ClassifyGate,
    output="scores",
    template="classifier",
)
