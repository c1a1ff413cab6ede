"""How often a classifier is right on a split, as Ultralytics' validator counts it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.datasets.model import Sample
from trainer.networks import Network, to_batch
from trainer.progress import Progress
from trainer.tasks.classify.pictures import read_fitted

BATCH = 32
TOP = 5  # or all classes, where there are fewer
MOST_DRAWN = 100  # classes in the confusion matrix; more cannot be read


@dataclass(frozen=True)
class Measurement:
    """Shares of all images; ``by_class`` rows are (name, images, top-1, top-5, precision), of the classes that occur.

    ``confusion``: (classes, classes) counts, a row for what an image is and a column for what it is taken for.
    """

    top1: float
    top5: float
    images: int
    by_class: list[tuple[str, int, float, float, float]]
    confusion: np.ndarray

    @property
    def figures(self) -> dict[str, float]:
        """By their names in MLflow."""
        return {"top1": self.top1, "top5": self.top5}

    def write_csv(self, file: Path) -> None:
        """The table by class."""
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(["class", "images", "top1", "top5", "precision"])
            writer.writerows(
                (name, images, *(f"{value:.5f}" for value in rest)) for name, images, *rest in self.by_class
            )


def measure(
    network: Network, samples: list[Sample], names: list[str], image_size: int, plots: Path | None = None
) -> Measurement:
    """Run the network over samples, and compare with their classes; ``plots``: a folder for the confusion matrix."""
    progress = Progress("Evaluating images", len(samples))
    ranks = []
    for start in range(0, len(samples), BATCH):
        part = samples[start : start + BATCH]
        scores = network.raw(to_batch([read_fitted(sample.image, image_size) for sample in part]))
        ranks.append(np.argsort(-scores, axis=1, kind="stable")[:, :TOP])
        progress.step(len(part))
    found = summarise(np.concatenate(ranks), np.array([class_of(sample) for sample in samples]), names)
    if plots is not None:
        _draw(found.confusion, names, plots / "confusion_matrix.png")
    return found


def class_of(sample: Sample) -> int:
    """The number of a sample's class."""
    return int(sample.rows or "")


def summarise(ranked: np.ndarray, actual: np.ndarray, names: list[str]) -> Measurement:
    """Count what is right.

    Args:
        ranked: (n, 5 or fewer) the best classes of each image, best first.
        actual: (n,) its class.
        names: of the classes.
    """
    first, any_of = ranked[:, 0] == actual, (ranked == actual[:, None]).any(1)
    confusion = np.zeros((len(names), len(names)), int)
    np.add.at(confusion, (actual, ranked[:, 0]), 1)
    taken = confusion.sum(0)
    by_class = [
        (
            names[number],
            int(here.sum()),
            float(first[here].mean()),
            float(any_of[here].mean()),
            float(confusion[number, number] / taken[number]) if taken[number] else 0.0,
        )
        for number in range(len(names))
        if (here := actual == number).any()
    ]
    return Measurement(float(first.mean()), float(any_of.mean()), len(actual), by_class, confusion)


def _draw(confusion: np.ndarray, names: list[str], file: Path) -> None:
    """The confusion matrix in shares of what images are; of many classes, those that are mistaken most often."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wrong = confusion.sum(1) + confusion.sum(0) - 2 * np.diag(confusion)
    shown = np.sort(np.argsort(-wrong, kind="stable")[:MOST_DRAWN])
    part = confusion[np.ix_(shown, shown)]
    shares = part / np.maximum(confusion[shown].sum(1, keepdims=True), 1)
    side = max(4.0, min(24.0, 1.5 + 0.35 * len(shown)))
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [names[number] if len(names[number]) <= 24 else f"{names[number][:23]}…" for number in shown]
    axes.set_xticks(range(len(shown)), labels, rotation=90, fontsize=8)
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    if len(shown) <= 30:
        for row, column in zip(*np.nonzero(part), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(part[row, column]), ha="center", va="center", fontsize=7, color=color)
    title = "Test images by class" if len(shown) == len(names) else f"The {len(shown)} classes mistaken most often"
    axes.set_title(title)
    figure.savefig(str(file), dpi=100)
