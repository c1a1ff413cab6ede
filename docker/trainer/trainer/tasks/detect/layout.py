"""Finds the label file of an image where labelling tools put it, in the order in which they are tried here.

Ultralytics knows the first place alone, and takes an image without a file there for background.
"""

from __future__ import annotations

from collections import Counter

from trainer.datasets.accents import composed
from trainer.datasets.folders import Folders, is_text, join
from trainer.datasets.model import label_path
from trainer.datasets.problems import Problems

NOT_LABELS = frozenset(
    {"classes.txt", "labelmap.txt", "labels.txt", "obj.txt", "requirements.txt", "train.txt", "val.txt", "valid.txt"}
    | {"test.txt", "license.txt", "predefined_classes.txt", "notes.txt"}
)

PLACES = {
    "labels": "in the folder labels",
    "other case": "in a folder Labels, of another case than Ultralytics knows",
    "beside": "beside them",
}


class LabelFiles:
    """The label files of one dataset; counts at which places they were found."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.found: Counter[str] = Counter()
        self._taken: set[str] = set()

    def of(self, key: str) -> str | None:
        """The label file of an image, both relative to the root; None: it has none."""
        folder, _, name = key.rpartition("/")
        stem = name.rpartition(".")[0]
        for place, path in self._places(folder):
            text = self._folders.read(path).text_of(stem)
            if text is not None:
                self.found[place] += 1
                self._taken.add(join(path, text))
                return join(path, text)
        return None

    def _places(self, folder: str) -> list[tuple[str, str]]:
        first = self._folders.actual(label_path(join(folder, "x")).rpartition("/")[0])
        places = [("labels", first)] if first != folder else []
        places += [("other case", path) for path in self._other_case(folder) if path != first]
        return [*places, ("beside", folder)]

    def _other_case(self, folder: str) -> list[str]:
        """``Labels`` (in any case) for the last ``Images`` of a path."""
        parts = folder.split("/")
        last = max((number for number, part in enumerate(parts) if part.lower() == "images"), default=None)
        if last is None:
            return []
        parent = "/".join(parts[:last])
        siblings = sorted(name for name in self._folders.read(parent).folders if name.lower() == "labels")
        return [self._folders.actual("/".join([*parts[:last], name, *parts[last + 1 :]])) for name in siblings]

    def find_orphans(self, folder: str, images: list[str], problems: Problems) -> None:
        """A label file without its image tells of an image that was lost on the way."""
        stems = {composed(key.rpartition(".")[0].removeprefix(f"{folder}/")) for key in images}
        for _, path in self._places(folder):
            for key in self._folders.below(path):
                if key in self._taken or not is_text(key) or composed(key[:-4].removeprefix(f"{path}/")) in stems:
                    continue
                name = key.rpartition("/")[2].lower()
                if name not in NOT_LABELS and not name.startswith("readme"):
                    problems.add("missing images, of which only the label file is there", key)

    def find_all_orphans(self, images: list[str], problems: Problems) -> None:
        """The same, for every folder that has one of the images."""
        inside: dict[str, list[str]] = {}
        for key in images:
            inside.setdefault(key.rpartition("/")[0], []).append(key)
        for folder, found in sorted(inside.items()):
            self.find_orphans(folder, found, problems)

    def places_said(self) -> str:
        """Where the label files lie, where Ultralytics would not look; "" if there are none such."""
        elsewhere = [
            f"{count} images have their label files {PLACES[place]}"
            for place, count in sorted(self.found.items())
            if place != "labels"
        ]
        return " and ".join(elsewhere)
