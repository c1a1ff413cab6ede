"""Labels of detectors: a YOLO label file beside each image."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from trainer.datasets.labelling import Labelling, Labels
from trainer.datasets.model import CheckedSample, Sample, Tree, label_path
from trainer.datasets.problems import Problems
from trainer.errors import InputError
from trainer.tasks.detect.digits import Recipe, make_digits
from trainer.tasks.detect.formats import read
from trainer.tasks.detect.labels import parse_labels

UNLABELLED = 0.1  # share of a split's images without a label file, above which its owner is warned


class BoxLabelling(Labelling):
    """Boxes, in the forms that labelling tools export."""

    files = True

    def make(self, uri: str, folder: Path) -> Path:
        """See ``Labelling``."""
        make_digits(Recipe.parse(uri), folder)
        return folder / "data.yaml"

    def read(self, place: Path, scratch: Path, problems: Problems, warnings: Problems, *, confined: bool) -> Tree:
        """See ``Labelling``."""
        return read(place, scratch, problems, warnings, confined=confined)

    def parse(self, sample: Sample, content: bytes, tree: Tree) -> Labels | None:
        """See ``Labelling``."""
        try:
            found = parse_labels(content.decode("utf-8"), len(tree.names), tree.keypoint_values)
        except UnicodeDecodeError:
            return None
        labels = Labels(array("I", [int(row[0]) for row in found.rows]))
        labels.problems = [(kind, f"{sample.key}: {detail}") for kind, detail in found.problems]
        if found.duplicate_rows:
            labels.warnings.append("label rows that are written twice")
        if found.mixed:
            kind = "label files with boxes and polygons, of which the boxes around the polygons are taken"
            labels.warnings.append(kind)
        if found.mixed or found.poses:
            labels.rewritten = found.text()
        return labels

    def check_split(
        self, split: str, items: list[CheckedSample], names: list[str], problems: Problems, warnings: Problems
    ) -> None:
        """See ``Labelling``."""
        _find_unlabelled(split, items, problems, warnings)

    def check_all(self, checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
        """See ``Labelling``."""
        _find_duplicates(checked, problems, warnings)
        _find_shared_labels(checked, problems)

    def place(self, split: str, item: CheckedSample) -> str:
        """See ``Labelling``."""
        return stored_path(item.sample.key)

    def refuse_same_places(self, tree: Tree) -> None:
        """Raise InputError where two images would be stored as one file."""
        keys = {sample.key for samples in tree.splits.values() for sample in samples}
        for key in sorted(keys):
            if stored_path(key) != key and stored_path(key) in keys:
                raise InputError(
                    f"Two images of the dataset would be stored as {stored_path(key)}. Rename one of them."
                )

    def summarise(self, items: list[CheckedSample], names: list[str]) -> dict[str, Any]:
        """See ``Labelling``."""
        counts = Counter(number for item in items for number in item.classes)
        return {
            "images": len(items),
            "boxes": counts.total(),
            "background_images": sum(not item.classes for item in items),
            "images_without_label_file": sum(not item.sample.labelled for item in items),
            "boxes_by_class": {name: counts[number] for number, name in enumerate(names)},
        }

    def words(self, counts: dict[str, Any]) -> str:
        """See ``Labelling``."""
        return (
            f"{counts['images']} images, {counts['boxes']} boxes, {counts['background_images']} images without objects"
        )

    def params(self, counts: dict[str, Any]) -> dict[str, int]:
        """See ``Labelling``."""
        return {what: counts[what] for what in ("images", "boxes")}


BOXES = BoxLabelling()


def stored_path(key: str) -> str:
    """Where an image is kept in the copy. Without an ``images`` folder of its own, one further up would be replaced."""
    return key if "images" in key.split("/")[:-1] else f"images/{key}"


def _find_unlabelled(split: str, items: list[CheckedSample], problems: Problems, warnings: Problems) -> None:
    """Images that nobody labelled would be trained as background; a split without any box measures nothing."""
    if not items:
        return
    bare = sum(not item.sample.labelled for item in items)
    if not any(item.classes for item in items):
        problems.add(
            "splits without a box in any image",
            f"{split} ({bare} of its {len(items)} images have no label file; label files lie in labels/ in place of "
            "images/, or beside the images, and have the image's name with .txt)",
        )
    elif bare > UNLABELLED * len(items):
        warnings.add(
            "splits with many images that have no label file, and are trained as images without objects",
            f"{split} ({bare} of {len(items)}, {bare / len(items):.0%})",
        )


def _find_duplicates(checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
    """The same image in two splits would measure memory; twice in one with other labels is a contradiction."""
    counts = Counter(item.image_sha256 for samples in checked.values() for item in samples)
    places: dict[str, list[tuple[str, CheckedSample]]] = defaultdict(list)
    for split, samples in checked.items():
        for item in samples:
            if counts[item.image_sha256] > 1:
                places[item.image_sha256].append((split, item))
    for found in places.values():
        where = " = ".join(sorted(f"{item.sample.key} [{split}]" for split, item in found)[:4])
        if len({split for split, _ in found}) > 1:
            problems.add("the same image in two splits", where)
        elif len({item.label_sha256 for _, item in found}) > 1:
            problems.add("the same image twice with different labels", where)
        else:
            warnings.add("the same image twice in a split", where)


def _find_shared_labels(checked: dict[str, list[CheckedSample]], problems: Problems) -> None:
    """Images whose names differ in the suffix alone have one label file, in which two sets of boxes cannot be."""
    found: dict[str, CheckedSample] = {}
    for items in checked.values():
        for item in items:
            other = found.setdefault(label_path(item.sample.key), item)
            if other.label_sha256 != item.label_sha256:
                problems.add(
                    "images with one name and other labels (rename one of them)",
                    f"{item.sample.key} and {other.sample.key}",
                )
