"""The ``digits`` dataset: scikit-learn's handwritten digits pasted on its sample photos.

Real handwriting on real photos that every machine with scikit-learn has, so the demo needs no download. No digit
image, and no part of a photo, appears in more than one split. (The digits carry no writer's name, so one person's
handwriting can be in several splits.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from trainer.datasets.handwriting import SHARES, read_digits, read_options, sklearn_datasets, split_sources
from trainer.progress import Progress, say

# Columns of the 640-pixel-wide photos that each split takes its backgrounds from.
COLUMNS = {"train": (0, 400), "val": (400, 520), "test": (520, 640)}
CROP = (80, 120)  # side of a background crop in photo pixels
INK_THRESHOLD = 48  # of 255: what counts as ink when the box is drawn tight
MOST_DIGITS = 7


@dataclass(frozen=True)
class Recipe:
    """How many images, their side in pixels, and the seed of everything random."""

    images: int = 1200
    size: int = 128
    seed: int = 0

    @classmethod
    def parse(cls, uri: str) -> Recipe:
        """Read ``digits`` or ``digits?images=…&size=…&seed=…``.

        Raises:
            InputError: an unknown key, or a value out of range.
        """
        limits = {"images": (20, 100_000), "size": (64, 1024), "seed": (0, 2**31 - 1)}
        return cls(**read_options(uri, "detect", limits))


def make_digits(recipe: Recipe, folder: Path) -> None:
    """Write the dataset as an Ultralytics tree: data.yaml, images/<split>/*.png, labels/<split>/*.txt.

    Whole-number arithmetic on bytes throughout, so that every machine makes the same files.
    """
    say(f"Making {recipe.images} images of {recipe.size}×{recipe.size} pixels from scikit-learn's digits")
    glyphs, target = read_digits()
    photos = read_photos()
    rows = split_sources(target, recipe.seed)
    progress = Progress("Making images", recipe.images)
    for split, count in _counts(recipe.images).items():
        rng = np.random.default_rng([recipe.seed, list(SHARES).index(split)])
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for number in range(count):
            scene, boxes = _scene(rng, recipe.size, split, photos, glyphs, target, rows[split])
            Image.fromarray(scene).save(images / f"{number:05d}.png", compress_level=1)
            (labels / f"{number:05d}.txt").write_text("".join(_row(box, recipe.size) for box in boxes))
            progress.step()
    data = {**{split: f"images/{split}" for split in SHARES}, "names": {value: str(value) for value in range(10)}}
    (folder / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False))


def read_photos() -> list[np.ndarray]:
    """scikit-learn's sample photos (427, 640, 3), in the order of their names."""
    return [np.asarray(Image.open(file)) for file in sorted((sklearn_datasets() / "images").glob("*.jpg"))]


def _counts(images: int) -> dict[str, int]:
    held_out = {split: max(1, int(images * share)) for split, share in SHARES.items() if split != "train"}
    return {"train": images - sum(held_out.values()), **held_out}


def _row(box: tuple[int, int, int, int, int], size: int) -> str:
    value, left, top, right, bottom = box
    return (
        f"{value} {(left + right) / 2 / size:.6f} {(top + bottom) / 2 / size:.6f} "
        f"{(right - left) / size:.6f} {(bottom - top) / size:.6f}\n"
    )


def _scene(
    rng: np.random.Generator,
    size: int,
    split: str,
    photos: list[np.ndarray],
    glyphs: np.ndarray,
    target: np.ndarray,
    rows: np.ndarray,
) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """One image (size, size, 3) with several digits of different sizes, and its boxes (class, x1, y1, x2, y2)."""
    photo = photos[rng.integers(len(photos))]
    side = int(rng.integers(CROP[0], CROP[1] + 1))
    first, last = COLUMNS[split]
    left = int(rng.integers(first, last - side + 1))
    top = int(rng.integers(0, photo.shape[0] - side + 1))
    crop = Image.fromarray(photo[top : top + side, left : left + side])
    scene = np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR)).copy()
    taken: list[tuple[int, int, int, int, int]] = []
    for _ in range(int(rng.integers(1, MOST_DIGITS + 1))):
        row = int(rows[rng.integers(len(rows))])
        # From a sixth to two fifths of the image: small and large digits in one scene.
        height = int(rng.integers(size // 6, size * 2 // 5 + 1))
        glyph = np.asarray(Image.fromarray(glyphs[row]).resize((height, height), Image.Resampling.BICUBIC))
        place = _free_place(rng, size, glyph, taken)
        if place is not None:
            _paste(rng, scene, glyph, place)
            taken.append((int(target[row]), *_tight_box(glyph, place)))
    return scene, taken


def _tight_box(glyph: np.ndarray, place: tuple[int, int]) -> tuple[int, int, int, int]:
    """Box (x1, y1, x2, y2) of the ink of a glyph (h, w) whose corner is at ``place`` (x, y)."""
    ys, xs = np.nonzero(glyph > INK_THRESHOLD)
    x, y = place
    return x + int(xs.min()), y + int(ys.min()), x + int(xs.max()) + 1, y + int(ys.max()) + 1


def _free_place(
    rng: np.random.Generator, size: int, glyph: np.ndarray, taken: list[tuple[int, int, int, int, int]]
) -> tuple[int, int] | None:
    """A corner (x, y) at which the glyph's box touches no other, or None after a few tries."""
    for _ in range(12):
        place = int(rng.integers(0, size - glyph.shape[1] + 1)), int(rng.integers(0, size - glyph.shape[0] + 1))
        left, top, right, bottom = _tight_box(glyph, place)
        if all(right <= x1 or left >= x2 or bottom <= y1 or top >= y2 for _, x1, y1, x2, y2 in taken):
            return place
    return None


def _paste(rng: np.random.Generator, scene: np.ndarray, glyph: np.ndarray, place: tuple[int, int]) -> None:
    """Blend a glyph (h, w) into the scene in an ink that stands out from what is behind it."""
    x, y = place
    under = scene[y : y + glyph.shape[0], x : x + glyph.shape[1]].astype(np.uint32)
    dark = int(under.sum()) // under.size >= 128
    ink = rng.integers(0, 60, 3) if dark else rng.integers(196, 256, 3)
    alpha = glyph.astype(np.uint32)[..., None]
    blended = (under * (255 - alpha) + ink.astype(np.uint32) * alpha + 127) // 255
    scene[y : y + glyph.shape[0], x : x + glyph.shape[1]] = blended.astype(np.uint8)
