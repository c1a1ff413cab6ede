"""Finds the image that an annotation names: tools write its path as it was on the machine that they ran on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import unquote

from trainer.datasets.accents import composed
from trainer.datasets.folders import Folders
from trainer.datasets.problems import Problems


class ImageFinder:
    """Every image below a dataset's root, by its file name."""

    def __init__(self, folders: Folders) -> None:
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self.keys = folders.images()
        for key in self.keys:
            self._by_name[composed(key.rpartition("/")[2])].append(key)

    def find(self, told: str, near: str, problems: Problems) -> str | None:
        """The image of a path as an annotation tells it.

        Of several with its name it is the one with the most folders in common at the end of the path, then the one
        next to ``near``.

        Args:
            told: path, name or URL, with any kind of slash.
            near: path of the annotation file, or of the folder of its split.
            problems: takes an image that is not there, or that may be any of several.
        """
        path, found = self._named(composed(told.replace("\\", "/")))
        if len(found) > 1:
            ranks = {key: (_shared(path.split("/"), composed(key).split("/")), _near(key, near)) for key in found}
            best = max(ranks.values())
            found = [key for key, rank in ranks.items() if rank == best]
        if len(found) == 1:
            return found[0]
        if found:
            problems.add("image names that several images have", f"{told} in {near} ({', '.join(sorted(found)[:3])})")
        else:
            problems.add("missing images", f"{told} (named in {near})")
        return None

    def _named(self, told: str) -> tuple[str, list[str]]:
        """The path that the text is of, and the images with its name."""
        for path in _meanings(told):
            if found := self._by_name.get(path.rpartition("/")[2]):
                return path, found
        return told, []


def _meanings(told: str) -> Iterator[str]:
    """The paths that a text may be of: a path, a URL with a query, Label Studio's address of a local file."""
    before, _, query = told.partition("?")
    for path in (told, before, query.removeprefix("d=")):
        yield path
        yield unquote(path)


def _shared(first: list[str], second: list[str]) -> int:
    """How many parts two paths share at their ends."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _near(key: str, near: str) -> int:
    """How many folders a path shares with another from the root on."""
    count = 0
    for one, other in zip(key.split("/")[:-1], near.split("/"), strict=False):
        if one != other:
            break
        count += 1
    return count
