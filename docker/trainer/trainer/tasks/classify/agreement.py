"""Proves that an ONNX file says what the PyTorch model says, in batches that it was not traced with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from trainer.errors import Disagreement
from trainer.networks import Network, to_batch
from trainer.tasks.classify.pictures import read_fitted

TOLERANCE = 0.002  # of a probability
BATCHES = (1, 5)  # different images; the export was traced with one


@dataclass
class Agreement:
    """What was compared, and the largest difference found."""

    images: int = 0
    comparisons: int = 0
    largest_difference: float = 0.0

    @property
    def words(self) -> str:
        """For the log."""
        return f"{self.comparisons} comparisons, probabilities within {self.largest_difference:.6f}"

    def to_json(self) -> dict[str, object]:
        """For the run's tag, with the tolerance."""
        return asdict(self) | {"tolerance": TOLERANCE}


def prove_agreement(reference: Network, candidate: Network, images: list[Path], image_size: int) -> Agreement:
    """Compare on each image alone, and on batches of different images.

    Args:
        reference: the PyTorch model.
        candidate: the ONNX.
        images: files of the val split.
        image_size: that of the training, in pixels.

    Raises:
        Disagreement: at the first difference above the tolerance.
    """
    agreement = Agreement(images=len(images))
    pictures = [read_fitted(path, image_size) for path in images]
    expected = [reference.raw(to_batch([picture]))[0] for picture in pictures]
    for batch in (*BATCHES, len(pictures)):
        for start in range(0, len(pictures), batch):
            found = candidate.raw(to_batch(pictures[start : start + batch]))
            for offset in range(len(found)):
                where = f"{images[start + offset].name} in a batch of {len(found)}"
                _compare(expected[start + offset], found[offset], agreement, where)
    return agreement


def _compare(expected: np.ndarray, found: np.ndarray, agreement: Agreement, where: str) -> None:
    if found.shape != expected.shape:
        raise _disagreement(where, f"it gives {found.shape} values, the model {expected.shape}")
    largest = float(np.abs(found - expected).max())
    # Written so that NaN fails.
    if not largest <= TOLERANCE:
        raise _disagreement(where, f"probabilities differ by up to {largest:.4f}")
    if not abs(float(found.sum()) - 1) <= TOLERANCE:
        raise _disagreement(where, f"what it gives adds up to {found.sum():.4f} and not to 1: no probabilities")
    agreement.comparisons += 1
    agreement.largest_difference = max(agreement.largest_difference, largest)


def _disagreement(where: str, what: str) -> Disagreement:
    return Disagreement(
        f"The ONNX does not say what the PyTorch model says: for {where}, {what}. It was not logged. The exporter, or "
        "ONNX Runtime, is not right for this network; use another version or network."
    )
