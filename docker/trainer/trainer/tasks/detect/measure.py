"""Average precision of a detector on a split, measured as Ultralytics' validator measures it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.datasets.model import Sample
from trainer.networks import Network, to_batch
from trainer.pictures import read_rgb
from trainer.progress import Progress
from trainer.tasks.detect.agreement import box_iou
from trainer.tasks.detect.detection import letterbox, suppress
from trainer.tasks.detect.labels import parse_labels

LEAST_CONFIDENCE = 0.001  # average precision needs the whole curve, far below what a server reports
THRESHOLDS = np.linspace(0.5, 0.95, 10)
BATCH = 8


@dataclass(frozen=True)
class Measurement:
    """Means over the classes that occur; ``by_class`` rows are (name, boxes, precision, recall, AP50, AP50-95)."""

    map50: float
    map50_95: float
    precision: float
    recall: float
    images: int
    by_class: list[tuple[str, int, float, float, float, float]]

    @property
    def figures(self) -> dict[str, float]:
        """By their names in MLflow."""
        return {
            "mAP50": self.map50,
            "mAP50-95": self.map50_95,
            "precision": self.precision,
            "recall": self.recall,
        }

    def write_csv(self, file: Path) -> None:
        """The table by class."""
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["class", "boxes", "precision", "recall", "AP50", "AP50-95"])
            writer.writerows((name, boxes, *(f"{value:.5f}" for value in rest)) for name, boxes, *rest in self.by_class)


def measure(
    detector: Network, samples: list[Sample], names: list[str], image_size: int, plots: Path | None = None
) -> Measurement:
    """Run the detector over samples, letterboxed to ``image_size`` as a client would, and compare with their labels.

    Precision and recall are those at the confidence with the best F1. ``plots``: a folder for the curves.
    """
    progress = Progress("Evaluating images", len(samples))
    correct, scores, predicted, actual = [], [], [], []
    for start in range(0, len(samples), BATCH):
        part = [_load(sample, len(names), image_size) for sample in samples[start : start + BATCH]]
        raw = detector.raw(to_batch([picture for picture, _ in part]))
        for rows, (_, truth) in zip(suppress(raw, LEAST_CONFIDENCE, every_class=True), part, strict=True):
            correct.append(match(rows, truth))
            scores.append(rows[:, 4])
            predicted.append(rows[:, 5])
            actual.append(truth[:, 0])
            progress.step()
    return _summarise(
        np.concatenate(correct),
        np.concatenate(scores),
        np.concatenate(predicted),
        np.concatenate(actual),
        names,
        len(samples),
        plots,
    )


def _load(sample: Sample, classes: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The letterboxed picture, and its boxes (n, 5) class x1 y1 x2 y2 in pixels of it."""
    image = read_rgb(sample.image)
    picture, scale, left, top = letterbox(image, image_size, image_size)
    text = sample.label.read_text(encoding="utf-8") if sample.label else ""
    boxes = parse_labels(text, classes).boxes
    size = np.array([image.shape[1], image.shape[0]]) * scale
    center, half = boxes[:, 1:3] * size + (left, top), boxes[:, 3:5] * size / 2
    return picture, np.concatenate([boxes[:, :1], center - half, center + half], 1)


def match(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which detections are right at each of the ten IoU thresholds: (n, 10).

    In the order of confidence, a detection takes the unclaimed box of its class that it overlaps most.

    Args:
        rows: (n, 6) x1 y1 x2 y2 confidence class, best first.
        truth: (m, 5) class x1 y1 x2 y2.
    """
    right = np.zeros((len(rows), len(THRESHOLDS)), dtype=bool)
    if not len(rows) or not len(truth):
        return right
    overlaps = box_iou(rows[:, :4], truth[:, 1:]) * (rows[:, 5:6] == truth[None, :, 0])
    for column, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(truth), dtype=bool)
        for row in np.flatnonzero(overlaps.max(1) >= threshold):
            best = int((overlaps[row] * free).argmax())
            if free[best] and overlaps[row, best] >= threshold:
                right[row, column] = True
                free[best] = False
    return right


def _summarise(
    correct: np.ndarray,
    scores: np.ndarray,
    predicted: np.ndarray,
    actual: np.ndarray,
    names: list[str],
    images: int,
    plots: Path | None,
) -> Measurement:
    from ultralytics.utils.metrics import ap_per_class

    boxes = np.bincount(actual.astype(int), minlength=len(names))
    _, _, precision, recall, _, ap, classes, *_ = ap_per_class(
        correct,
        scores,
        predicted,
        actual,
        plot=plots is not None,
        save_dir=plots or Path(),
        names=dict(enumerate(names)),
    )
    by_class = [
        (
            names[int(number)],
            int(boxes[int(number)]),
            float(precision[row]),
            float(recall[row]),
            float(ap[row, 0]),
            float(ap[row].mean()),
        )
        for row, number in enumerate(classes)
    ]
    map50, map50_95, mean_precision, mean_recall = (
        float(np.mean(values)) if len(values) else 0.0 for values in (ap[:, 0], ap, precision, recall)
    )
    return Measurement(map50, map50_95, mean_precision, mean_recall, images, by_class)
