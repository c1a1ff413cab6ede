"""What the labels of a task's datasets are: how they are read, checked, stored and summarised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.datasets.model import CheckedSample, Sample, Tree
from trainer.datasets.problems import Problems


@dataclass
class Labels:
    """What is written about one image.

    Attributes:
        classes: of all that is on it.
        problems: kind and detail of what training cannot continue with.
        warnings: kinds of what its owner should know.
        rewritten: the text to keep in place of the owner's; None: that.
    """

    classes: array[int] = field(default_factory=lambda: array("I"))
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rewritten: str | None = None


class Labelling(ABC):
    """One kind of labels."""

    files: bool
    """Whether labels are files beside the images in the workspace's copy; else ``place`` tells them."""

    @abstractmethod
    def make(self, uri: str, folder: Path) -> Path:
        """Write the dataset ``digits?…``, which every machine can make, below ``folder``; return its place."""

    @abstractmethod
    def read(self, place: Path, scratch: Path, problems: Problems, warnings: Problems, *, confined: bool) -> Tree:
        """Recognise the format of a dataset and list its samples.

        Args:
            place: its folder, or a file that describes it.
            scratch: a folder for files that have to be made.
            problems: takes what is wrong with single files and splits.
            warnings: takes what the owner should know.
            confined: whether nothing outside of the folder may be named.

        Raises:
            InputError: it is of no format that is read, or its description is wrong.
        """

    @abstractmethod
    def parse(self, sample: Sample, content: bytes, tree: Tree) -> Labels | None:
        """Read what is written about one image; None: it is no text."""

    @abstractmethod
    def check_split(
        self, split: str, items: list[CheckedSample], names: list[str], problems: Problems, warnings: Problems
    ) -> None:
        """Find what is wrong with a split as a whole."""

    @abstractmethod
    def check_all(self, checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
        """Find what is wrong between splits; may take samples out."""

    @abstractmethod
    def place(self, split: str, item: CheckedSample) -> str:
        """Where an image is kept in the copy, relative to its folder."""

    def refuse_same_places(self, tree: Tree) -> None:  # noqa: B027 - most places are the keys themselves
        """Raise InputError where two images would be stored as one file."""

    def stratum(self, item: CheckedSample) -> Hashable:
        """Of each of these, a share goes to the splits that are made."""
        return None

    @abstractmethod
    def summarise(self, items: list[CheckedSample], names: list[str]) -> dict[str, Any]:
        """The counts of a split, of which whole numbers are the profile of MLflow's dataset."""

    @abstractmethod
    def words(self, counts: dict[str, Any]) -> str:
        """A split's counts for the log."""

    @abstractmethod
    def params(self, counts: dict[str, Any]) -> dict[str, int]:
        """Those counts that are params of the run."""
