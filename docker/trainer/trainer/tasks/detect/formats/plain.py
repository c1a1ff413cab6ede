"""YOLO label files without data.yaml: the class names are in a text file, and a folder or a list tells the split.

LabelImg and Label Studio write classes.txt; CVAT ("YOLO 1.1") and Darknet write obj.names, obj.data and train.txt.
"""

from __future__ import annotations

from pathlib import Path

from trainer.datasets.accents import composed
from trainer.datasets.finder import ImageFinder
from trainer.datasets.folders import Folders, join
from trainer.datasets.model import Sample, Tree
from trainer.datasets.problems import Problems
from trainer.datasets.split_names import by_folder, split_of
from trainer.errors import InputError
from trainer.progress import say
from trainer.tasks.detect.formats.names import require_distinct
from trainer.tasks.detect.layout import LabelFiles

NAMES = ("obj.names", "classes.txt", "predefined_classes.txt")


def find_names(files: list[str]) -> str | None:
    """The file of the class names that is nearest to the root; None: there is none."""
    found = [path for path in files if path.rpartition("/")[2].lower() in NAMES]
    return min(
        found, key=lambda path: (path.count("/"), NAMES.index(path.rpartition("/")[2].lower()), path), default=None
    )


def read_plain(folders: Folders, names_file: str, problems: Problems) -> Tree:
    """List the samples below the folder of ``names_file``, whose lines are the class names.

    Splits are those of the lists beside it (train.txt, valid.txt), else of folders with such names, else all is train.

    Raises:
        InputError: there are no names.
    """
    names = [
        composed(line.strip()) for line in (folders.root / names_file).read_text(encoding="utf-8-sig").splitlines()
    ]
    names = [name for name in names if name]
    if not names:
        raise InputError(f"{names_file} is empty. It must have a line for each class, in the order of their numbers.")
    require_distinct(names, names_file)
    labels = LabelFiles(folders)
    base = _base(folders, names_file)
    keys = _listed(folders, base, problems) or by_folder(folders.images(base), base)
    splits = {split: [_sample(folders.root, key, labels) for key in sorted(found)] for split, found in keys.items()}
    if not splits.get("train"):
        raise InputError(f"No image for training was found beside {names_file}. Put the images into the dataset, too.")
    labels.find_all_orphans([key for found in keys.values() for key in found], problems)
    if elsewhere := labels.places_said():
        say(f"{elsewhere[0].upper()}{elsewhere[1:]}")
    return Tree(folders.root, names, splits, f"YOLO with {names_file}")


def _base(folders: Folders, names_file: str) -> str:
    """The folder that images lie below; labelImg saves classes.txt beside the label files, so it may be one up."""
    folder = names_file.rpartition("/")[0]
    return folder if folders.images(folder) else folder.rpartition("/")[0]


def _sample(root: Path, key: str, labels: LabelFiles) -> Sample:
    label = labels.of(key)
    return Sample(key, root / key, root / label if label else None)


def _listed(folders: Folders, base: str, problems: Problems) -> dict[str, set[str]]:
    """Images by split, of lists such as train.txt; their paths start at a folder that is not in the archive (data/)."""
    lists = {
        name: split for name in folders.read(base).files if name.endswith(".txt") and (split := split_of(name[:-4]))
    }
    if not lists:
        return {}
    finder = ImageFinder(folders)
    found: dict[str, set[str]] = {}
    for name, split in sorted(lists.items()):
        lines = (folders.root / base / name).read_text(encoding="utf-8-sig").splitlines()
        keys = {finder.find(line.strip(), join(base, name), problems) for line in lines if line.strip()}
        found.setdefault(split, set()).update(key for key in keys if key)
    return found
