"""What a dataset is: named classes, and images with an optional label file in each split."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLITS = ("train", "val", "test")
# What both Pillow (which checks and evaluates) and OpenCV (with which Ultralytics trains) read.
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Sample:
    """An image, its label file (neither ``label`` nor ``rows``: background, no objects), and its path from the root.

    Paths are kept as text: a ``Path`` takes four times the memory, which counts with a million images.

    Attributes:
        key: path relative to the dataset's root, with ``/``.
        rows: the text of a label file, where the labels come from elsewhere; of a classifier, the number of the class.
        told: width and height in pixels that such a file gives the image.
    """

    __slots__ = ("_image", "_label", "key", "rows", "told")

    def __init__(
        self,
        key: str,
        image: Path | str,
        label: Path | str | None,
        rows: str | None = None,
        told: tuple[int, int] | None = None,
    ) -> None:
        self.key = key
        self._image = str(image)
        self._label = None if label is None else str(label)
        self.rows = rows
        self.told = told

    @property
    def image(self) -> Path:
        """The image file."""
        return Path(self._image)

    @property
    def label(self) -> Path | None:
        """A YOLO label file."""
        return None if self._label is None else Path(self._label)

    @property
    def files(self) -> tuple[str, str | None]:
        """Both files as text, for those who open thousands of them."""
        return self._image, self._label

    @property
    def labelled(self) -> bool:
        """Whether its owner said which objects are on it, be it none."""
        return self._label is not None or self.rows is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sample) and (self.key, self.files, self.rows) == (other.key, other.files, other.rows)

    def __hash__(self) -> int:
        return hash((self.key, self.files))

    def __repr__(self) -> str:
        return f"Sample({self.key!r}, {self._image!r}, {self._label!r})"


@dataclass(frozen=True)
class Tree:
    """A dataset as its owner laid it out.

    Attributes:
        root: the folder that keys are relative to.
        names: of the classes, by number.
        splits: those that the owner made; others are absent.
        format: what it was recognised as, for the log.
        keypoint_values: numbers behind the box in a row of a pose label file; 0 where there are none.
        ours: whether its files were made of the owner's, and may be moved.
    """

    root: Path
    names: list[str]
    splits: dict[str, list[Sample]]
    format: str
    keypoint_values: int = 0
    ours: bool = False


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
    stem, dot, suffix = image.rpartition(".")
    path = f"{stem if dot and '/' not in suffix else image}.txt"
    head, found, tail = f"/{path}".rpartition("/images/")
    return f"{head}/labels/{tail}"[1:] if found else path
