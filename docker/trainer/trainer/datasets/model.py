"""What a dataset is: named classes, and images with an optional label file in each split."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

SPLITS = ("train", "val", "test")
# What both Pillow (which checks and evaluates) and OpenCV (with which Ultralytics trains) read.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class Sample:
    """An image, its label file (neither ``label`` nor ``rows``: background, no objects), and its path from the root.

    Attributes:
        key: path relative to the dataset's root, with ``/``.
        image: the file.
        label: a YOLO label file.
        rows: the text of one, where the boxes come from a file of another format.
        told: width and height in pixels that such a file gives the image.
    """

    key: str
    image: Path
    label: Path | None
    rows: str | None = None
    told: tuple[int, int] | None = None

    @property
    def labelled(self) -> bool:
        """Whether its owner said which objects are on it, be it none."""
        return self.label is not None or self.rows is not None


@dataclass(frozen=True)
class Tree:
    """A dataset as its owner laid it out.

    Attributes:
        root: the folder that keys are relative to.
        names: of the classes, by number.
        splits: those that the owner made; others are absent.
        format: what it was recognised as, for the log.
        keypoint_values: numbers behind the box in a row of a pose label file; 0 where there are none.
    """

    root: Path
    names: list[str]
    splits: dict[str, list[Sample]]
    format: str
    keypoint_values: int = 0


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """A sample with what was read of it.

    Attributes:
        sample: the sample.
        image_sha256: of the image as it is kept, hex.
        label_sha256: of the label file as it is kept, hex; "-" where there is none.
        size: width and height in pixels, upright.
        classes: of its boxes.
        kept: bytes of the image file that are kept; None: all of them.
        rows: text of the label file to write; None: the owner's file is copied.
    """

    sample: Sample
    image_sha256: str
    label_sha256: str
    size: tuple[int, int]
    classes: array[int]
    kept: int | None
    rows: str | None


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
