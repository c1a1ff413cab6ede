"""Ultralytics' trainer of detectors, as it is used here."""

from __future__ import annotations

from ultralytics.models.yolo.detect import DetectionTrainer

from trainer.training.lifecycle import Lifecycle


class DetectTrainer(Lifecycle, DetectionTrainer):
    """Trains a detector."""
