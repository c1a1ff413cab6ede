"""What a dataset is: named classes, and images with an optional label file in each split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")
# What both Pillow (which checks and evaluates) and OpenCV (with which Ultralytics trains) read.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Sample:
    """An image, its label file (None: background, no objects), and its path relative to the dataset's root."""

    key: str
    image: Path
    label: Path | None


@dataclass(frozen=True)
class Tree:
    """A dataset as its owner laid it out: splits that data.yaml does not name are absent."""

    root: Path
    names: list[str]
    splits: dict[str, list[Sample]]


@dataclass(frozen=True)
class CheckedSample:
    """A sample with what was read of it: content hashes (hex), size in pixels, boxes (n, 5) class cx cy w h in 0–1."""

    sample: Sample
    image_sha256: str
    label_sha256: str
    size: tuple[int, int]
    boxes: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A checked copy in the workspace: ``data.yaml`` for Ultralytics, three splits, the digest of the content."""

    root: Path
    digest: str
    names: list[str]
    splits: dict[str, list[Sample]]
    summary: dict[str, Any]

    @property
    def data_yaml(self) -> Path:
        """The file that Ultralytics is given."""
        return self.root / "data.yaml"


def label_path(image: str) -> str:
    """Where Ultralytics looks for the labels of an image: the last ``images`` folder of its path is ``labels``."""
    parts = list(PurePosixPath(image).with_suffix(".txt").parts)
    folders = parts[:-1]
    if "images" in folders:
        parts[len(folders) - 1 - folders[::-1].index("images")] = "labels"
    return str(PurePosixPath(*parts))
