"""Labels of classifiers: the folder that an image is in, or a file of numbers."""

from __future__ import annotations

import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from trainer.datasets.folders import Folders
from trainer.datasets.labelling import Labelling, Labels
from trainer.datasets.model import CheckedSample, Sample, Tree
from trainer.datasets.ndjson import SUFFIX, find_ndjson
from trainer.datasets.problems import Problems
from trainer.errors import InputError
from trainer.tasks.classify.digits import Recipe, make_digits
from trainer.tasks.classify.folders import FORM, read_folders
from trainer.tasks.classify.idx import find_idx, read_idx
from trainer.tasks.classify.ndjson import read_ndjson

FEW = 10  # images of a class in train, below which its owner is warned


class ClassLabelling(Labelling):
    """One class an image. ``Sample.rows`` is its number.

    The copy is ``<split>/<number>/<path>``: what Ultralytics reads, without what names of classes may look like.
    """

    files = False

    def make(self, uri: str, folder: Path) -> Path:
        """See ``Labelling``."""
        make_digits(Recipe.parse(uri), folder)
        return folder

    def read(self, place: Path, scratch: Path, problems: Problems, warnings: Problems, *, confined: bool) -> Tree:
        """See ``Labelling``."""
        listed = place.is_file() and place.suffix.lower() == SUFFIX
        if place.is_file() and not listed:
            raise InputError(f"The dataset {place.name} is a file, and classifiers have no such. {FORM}")
        root = Path(os.path.normpath((place.parent if listed else place).absolute()))
        folders = Folders(root, problems)
        if found := place.name if listed else find_ndjson(root, folders.read("").files):
            return read_ndjson(folders, found, scratch, problems, warnings)
        if files := find_idx(root):
            return read_idx(files, scratch)
        return read_folders(root, problems, warnings)

    def parse(self, sample: Sample, content: bytes, tree: Tree) -> Labels | None:
        """See ``Labelling``."""
        return Labels(array("I", [int(content)]))

    def check_split(
        self, split: str, items: list[CheckedSample], names: list[str], problems: Problems, warnings: Problems
    ) -> None:
        """See ``Labelling``."""
        counts = _counts(items)
        for number, name in enumerate(names):
            if split != "train" and not counts[number]:
                warnings.add(
                    "classes of which a split has no image, so that nothing is measured for them", f"{name} ({split})"
                )
            elif split == "train" and 0 < counts[number] < FEW:
                warnings.add(f"classes with fewer than {FEW} images in train", f"{name} ({counts[number]})")

    def check_all(self, checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
        """See ``Labelling``."""
        _leave_out_of_train(checked, problems, warnings)
        found: dict[str, list[CheckedSample]] = defaultdict(list)
        for items in checked.values():
            for item in items:
                found[item.image_sha256].append(item)
        for items in found.values():
            where = " = ".join(sorted(item.sample.key for item in items)[:4])
            if len({item.classes[0] for item in items}) > 1:
                problems.add("the same image in two classes", where)
            elif len(items) > 1:
                warnings.add("the same image more than once", where)

    def place(self, split: str, item: CheckedSample) -> str:
        """See ``Labelling``."""
        return f"{split}/{folder_of(item.classes[0])}/{item.sample.key}"

    def stratum(self, item: CheckedSample) -> Hashable:
        """See ``Labelling``."""
        return item.classes[0]

    def summarise(self, items: list[CheckedSample], names: list[str]) -> dict[str, Any]:
        """See ``Labelling``."""
        counts = _counts(items)
        return {
            "images": len(items),
            "classes": sum(counts[number] > 0 for number in range(len(names))),
            "images_by_class": {name: counts[number] for number, name in enumerate(names)},
        }

    def words(self, counts: dict[str, Any]) -> str:
        """See ``Labelling``."""
        by_class = counts["images_by_class"].values()
        return f"{counts['images']} images, {counts['classes']} classes, {min(by_class)} to {max(by_class)} images each"

    def params(self, counts: dict[str, Any]) -> dict[str, int]:
        """See ``Labelling``."""
        return {what: counts[what] for what in ("images", "classes")}


CLASSES = ClassLabelling()


def folder_of(number: int) -> str:
    """The folder of a class in the copy, whose order as text is that of the numbers."""
    return f"{number:06d}"


def _counts(items: list[CheckedSample]) -> Counter[int]:
    return Counter(item.classes[0] for item in items)


def _leave_out_of_train(checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
    """Images of train that are also in val or test would be measured from memory.

    Published sets have some (Fashion-MNIST, CIFAR-100), and nobody can take them out of a file: they are left out here.
    Of two that are both held out, neither is.
    """
    held_out = {item.image_sha256 for split, items in checked.items() if split != "train" for item in items}
    train, kept = checked["train"], []
    for item in train:
        if item.image_sha256 in held_out:
            warnings.add("images of train that are in val or test too, and are left out of train", item.sample.key)
        else:
            kept.append(item)
    for number in sorted(_counts(train).keys() - _counts(kept).keys()):
        where = next(item.sample.key for item in train if item.classes[0] == number)
        problems.add("classes all of whose images in train are in val or test too", Path(where).parent.as_posix())
    checked["train"] = kept
