"""Classes of Ultralytics' NDJSON: those that an image is of, numbered from 0 as Ultralytics' conversion does."""

from __future__ import annotations

from pathlib import Path

from trainer.datasets.folders import Folders
from trainer.datasets.model import Sample, Tree
from trainer.datasets.ndjson import Listed, read_listing
from trainer.datasets.problems import Problems
from trainer.errors import InputError


def read_ndjson(folders: Folders, path: str, scratch: Path, problems: Problems, warnings: Problems) -> Tree:
    """List the samples of a file; see ``read_listing``.

    Raises:
        InputError: it has fewer than two classes.
    """
    listing = read_listing(folders, path, ("classify",), scratch, problems)
    classes: dict[str, int] = {}
    for found in listing.splits.values():
        for each in found:
            number = _class_of(each)
            if number is None:
                warnings.add("images without a class, which are left out as Ultralytics does", f"{each.key} in {path}")
            else:
                classes[each.key] = number
    numbers = {number: place for place, number in enumerate(sorted(set(classes.values())))}
    if len(numbers) < 2:
        raise InputError(f"The images of {path} are of {len(numbers)} classes; a classifier needs two or more.")
    splits = {
        split: [
            Sample(each.key, each.image, None, str(numbers[classes[each.key]]), each.size)
            for each in found
            if each.key in classes
        ]
        for split, found in listing.splits.items()
    }
    names = [listing.names.get(number, str(number)) for number in numbers]
    return Tree(folders.root, names, splits, f"Ultralytics NDJSON ({path})", ours=listing.fetched)


def _class_of(listed: Listed) -> int | None:
    """The number of its class; of several, the first, as Ultralytics takes it."""
    found = (listed.annotations or {}).get("classification")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], int) else None
