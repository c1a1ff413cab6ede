"""The dataset ``digits`` of a classifier: scikit-learn's handwritten digits, one an image.

They are 8 × 8 pixels, enlarged to 28 × 28, and are not MNIST: 1,797 digits of 43 people (UCI's "Optical Recognition of
Handwritten Digits"). No digit is in more than one split. They carry no writer's name, so one person's handwriting can
be in several splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.datasets.handwriting import read_digits, read_options, split_sources
from trainer.progress import say


@dataclass(frozen=True)
class Recipe:
    """How many digits at most, their side in pixels, and the seed by which they are dealt out to the splits."""

    images: int = 1797
    size: int = 28
    seed: int = 0

    @classmethod
    def parse(cls, uri: str) -> Recipe:
        """Read ``digits?task=classify&images=…&size=…&seed=…``, of which all may be left out.

        Raises:
            InputError: an unknown key, or a value out of range.
        """
        limits = {"images": (100, 1797), "size": (10, 512), "seed": (0, 2**31 - 1)}
        return cls(**read_options(uri, "classify", limits))


def make_digits(recipe: Recipe, folder: Path) -> None:
    """Write the digits as a tree of images: ``<split>/<value>/<number>.png``."""
    glyphs, target = read_digits()
    # The first ones of the file: its values take turns, so that each is there as often as the others.
    glyphs, target = glyphs[: recipe.images], target[: recipe.images]
    say(f"Making {len(target)} images of {recipe.size}×{recipe.size} pixels from scikit-learn's digits (not MNIST)")
    side = (recipe.size, recipe.size)
    for split, rows in split_sources(target, recipe.seed).items():
        for row in np.sort(rows):
            place = folder / split / str(target[row])
            place.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(glyphs[row]).resize(side, Image.Resampling.BICUBIC)
            image.save(place / f"{row:04d}.png", compress_level=1)
