"""A dataset of coloured squares, and weights for it that are set: of an expert, and of a beginner that learns by rule.

A square fills one cell of a grid of 16 pixels, which is the stride of the network's second level. Its colour says its
class. Each convolution of the backbone averages 2×2 pixels, so the second level has the mean colour of each cell; the
head turns that into scores, and its boxes are the cells. This is exact arithmetic on any processor, so a test may say
what the network finds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

NAMES = ["red", "green", "blue"]
CELL = 16  # pixels
SIDE = 64
COUNTS = {"train": 32, "val": 8, "test": 8}
MOST_SQUARES = 5

# Three levels, as YOLO has them, and the same kind of head; 0.2 million weights.
ARCHITECTURE = {
    "nc": len(NAMES),
    "activation": "torch.nn.ReLU()",
    "backbone": [[-1, 1, "Conv", [16, 3, 2]] for _ in range(5)],
    "head": [[[2, 3, 4], 1, "Detect", ["nc"]]],
}
BACKBONE = range(5)
HEAD = len(BACKBONE)
LEVEL = 1  # of the head: the one with the stride CELL
# Hyperparameters of a training in which the grid stays where it is. Drawing its figures would take longer than it.
STILL = {"plots": False, "warmup_epochs": 0, "mosaic": 0, "fliplr": 0, "translate": 0, "scale": 0, "nbs": 8}
# It keeps what the network knows: its scores are frozen, its boxes move by a hair.
KEEPING = STILL | {"optimizer": "SGD", "lr0": 1e-6, "freeze": [*BACKBONE, f"{HEAD}.cv3"]}
# It learns which colour is which class, and that alone: a logistic regression, which has one optimum and no luck.
LEARNING = STILL | {
    "optimizer": "AdamW",
    "lr0": 1,
    "freeze": [*BACKBONE, *(f"{HEAD}.{part}" for part in ("cv2", "cv3.0", "cv3.2", "cv3.1.0", "cv3.1.1"))],
}


@dataclass(frozen=True)
class Colours:
    """The dataset of coloured squares, an architecture for it, and weights."""

    dataset: Path
    architecture: Path
    expert: Path  # finds all squares
    beginner: Path  # knows boxes, and no colours


def write_architecture(folder: Path) -> Path:
    """The architecture's file, to train from nothing."""
    file = folder / "colours.yaml"
    file.write_text(yaml.safe_dump(ARCHITECTURE))
    return file


def write_dataset(folder: Path, seed: int) -> Path:
    """An Ultralytics tree: one to ``MOST_SQUARES`` bright squares an image, on dark noise."""
    rng = np.random.default_rng(seed)
    colours = itertools.cycle(range(len(NAMES)))  # each split has all of them
    for split, count in COUNTS.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            picture, rows = _scene(rng, colours)
            Image.fromarray(picture).save(folder / f"images/{split}/{number}.png")
            (folder / f"labels/{split}/{number}.txt").write_text("".join(rows))
    data = {**{split: f"images/{split}" for split in COUNTS}, "names": NAMES}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder


def _scene(rng: np.random.Generator, colours: Iterator[int]) -> tuple[np.ndarray, list[str]]:
    """One picture (SIDE, SIDE, 3), and the rows of its label file."""
    picture = rng.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    across = SIDE // CELL
    rows = []
    for place in rng.choice(across**2, rng.integers(1, MOST_SQUARES + 1), replace=False):
        top, left = (int(value) * CELL for value in divmod(place, across))
        colour = next(colours)
        picture[top : top + CELL, left : left + CELL, colour] = rng.integers(220, 256, (CELL, CELL), dtype=np.uint8)
        share = CELL / SIDE
        rows.append(f"{colour} {left / SIDE + share / 2} {top / SIDE + share / 2} {share} {share}\n")
    return picture, rows


def write_detector(file: Path, architecture: Path, seed: int, knows_colours: bool = True) -> Path:
    """Weights that find every square of ``write_dataset`` and nothing else.

    Args:
        file: the .pt to write.
        architecture: of ``write_architecture``.
        seed: of the weights that change nothing.
        knows_colours: without, it knows the boxes alone and takes no cell for a square.
    """
    import torch
    from ultralytics import YOLO

    torch.manual_seed(seed)
    model = YOLO(str(architecture), task="detect")
    network: Any = model.model
    with torch.no_grad():
        for number in BACKBONE:
            _average(network.model[number])
        _set_head(network.model[HEAD], knows_colours)
    network.names = dict(enumerate(NAMES))
    model.save(str(file))
    return file


def _average(layer: Any) -> None:
    """The first three channels become the means of 2×2 pixels."""
    layer.conv.weight[:3] = 0
    for channel in range(3):
        layer.conv.weight[channel, channel, 1:, 1:] = 0.25


def _pass_on(layer: Any) -> None:
    """The first three channels stay as they are."""
    layer.conv.weight[:3] = 0
    for channel in range(3):
        layer.conv.weight[channel, channel, 1, 1] = 1


def _set_head(head: Any, knows_colours: bool) -> None:
    import torch

    for level, (boxes, scores) in enumerate(zip(head.cv2, head.cv3, strict=True)):
        # Half a cell from its middle to each side: as likely 0 as 1, and no other distance.
        boxes[-1].weight.zero_()
        distances = boxes[-1].bias.view(4, head.reg_max)
        distances.fill_(-20)
        distances[:, :2] = 0
        scores[-1].weight.zero_()
        scores[-1].bias.fill_(-10)
        if level == LEVEL:
            _pass_on(scores[0])
            _pass_on(scores[1])
            if knows_colours:
                # A colour less the two others: about 0.7 in a square of it, below 0 everywhere else.
                scores[-1].weight[:, :3, 0, 0] = 40 * (2 * torch.eye(len(NAMES)) - 1)
                scores[-1].bias.fill_(-18)
            else:
                scores[-1].bias.fill_(-4)  # no cell is likely to be a square
