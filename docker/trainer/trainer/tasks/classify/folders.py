"""Trees of images, as torchvision's ``ImageFolder`` and Ultralytics read them: a folder a class, and a folder a split.

``train/cat/1.jpg``, ``val/cat/2.jpg``, ``test/…``; or ``cat/1.jpg`` alone, of which val and test are then made.
"""

from __future__ import annotations

from pathlib import Path

from trainer.datasets.accents import composed
from trainer.datasets.folders import Folders, is_image, join
from trainer.datasets.model import SPLITS, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.datasets.split_names import split_of
from trainer.errors import InputError

# What tools name the folder of a detector's label files.
LABELS = frozenset({"labels", "annotations", "obj_train_data"})
LOOKED_AT = 20  # text files beside images, of which an empty one tells nothing

FORM = (
    "Give a folder for each class with its images in it (cat/1.jpg, dog/1.jpg), in folders train, val and test or "
    "without them."
)


def read_folders(root: Path, problems: Problems, warnings: Problems) -> Tree:
    """List the images below ``root`` by the folder that they are in.

    Raises:
        InputError: there are no folders of classes, or fewer than two.
    """
    folders = Folders(root, problems)
    base = _base(folders)
    splits = _splits(folders, base, problems)
    _refuse_boxes(folders, splits["train"])
    names = _names(folders, splits["train"], problems)
    found: dict[str, list[Sample]] = {}
    for split in SPLITS:
        if split in splits:
            reader = _Reader(folders, splits[split], names, problems, warnings)
            found[split] = reader.read(split)
    return Tree(folders.root, names, found, "a folder of images for each class")


def _base(folders: Folders) -> str:
    """The folder that the splits or classes are in: archives have one around them that means nothing."""
    base = ""
    while True:
        here = folders.read(base)
        if len(here.folders) != 1 or any(is_image(name) for name in here.files):
            return base
        inner = join(base, here.folders[0])
        if split_of(here.folders[0]) is not None or not folders.read(inner).folders:
            return base
        base = inner


def _splits(folders: Folders, base: str, problems: Problems) -> dict[str, str]:
    """The folder of each split; without one for train, every folder is a class and all is train."""
    found: dict[str, str] = {}
    others = []
    for name in sorted(folders.read(base).folders):
        split = split_of(name)
        if split is None:
            others.append(name)
        elif split in found:
            problems.add("splits that two folders are named after", f"{split} ({found[split]} and {join(base, name)})")
        else:
            found[split] = join(base, name)
    if "train" not in found:
        return {"train": base}
    # What lies beside the splits, such as a folder of notes, is no class.
    for name in others:
        if folders.images(join(base, name)):
            problems.add("folders with images beside train that are named after no split", join(base, name))
    return found


def _refuse_boxes(folders: Folders, train: str) -> None:
    """Raise InputError where the folder for training is one of a detector: with label files, or with a folder of them.

    A class may have any name, `labels` too; it then has images. LabelImg puts each label file beside its image.
    """
    below = {join(train, name): folders.read(join(train, name)) for name in folders.read(train).folders}
    labels = [path for path in below if path.rpartition("/")[2].lower() in LABELS and not folders.images(path)]
    images = sum(len(folder.images) for folder in below.values())
    beside = [
        folders.root / path / folder.texts[stem]
        for path, folder in below.items()
        for stem in folder.images.keys() & folder.texts.keys()
    ]
    # Captions may lie there, too.
    if labels or (len(beside) > images / 2 and any(_has_boxes(file) for file in sorted(beside)[:LOOKED_AT])):
        found = f"the folder {labels[0]}" if labels else f"label files beside {len(beside)} of {images} images"
        raise InputError(
            f"The dataset is one of boxes, it has {found}: a detector can be trained on it (`task: detect` in the "
            f"pipeline's file), and no classifier. {FORM}"
        )


def _has_boxes(file: Path) -> bool:
    """Whether a text file's first line is a row of labels: a class and four numbers or more."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        words = next(lines, "").split()
    try:
        return len([float(word) for word in words]) >= 5
    except ValueError:
        return False


def _names(folders: Folders, train: str, problems: Problems) -> list[str]:
    """The classes: names of the folders in train, sorted as Python sorts text, which is torchvision's order.

    Each accent and its letter are one, however the folder's name has it: a Mac's export has the classes of another's.
    """
    given = sorted(folders.read(train).folders, key=lambda name: (composed(name), name))
    if not given:
        raise InputError(f"The dataset has no folder of images for each class in {train or 'its folder'}. {FORM}")
    if len(given) < 2:
        raise InputError(
            f"The dataset has one class alone ({given[0]}), so there is nothing to tell apart. {FORM} Two or more."
        )
    _refuse_lookalikes(given, problems)
    return [composed(name) for name in given]


def _refuse_lookalikes(folders: list[str], problems: Problems) -> None:
    """Add folders of one place whose names a person cannot tell apart."""
    seen: dict[str, str] = {}
    for name in folders:
        plain = composed(name).strip()
        if plain in seen:
            problems.add("classes whose names look the same", f"{name!r} and {seen[plain]!r}")
        seen[plain] = name


class _Reader:
    """Lists the images of one split."""

    def __init__(self, folders: Folders, folder: str, names: list[str], problems: Problems, warnings: Problems) -> None:
        self._folders = folders
        self._folder = folder
        self._names = names
        self._problems = problems
        self._warnings = warnings

    def read(self, split: str) -> list[Sample]:
        """Its samples, by class."""
        here = self._folders.read(self._folder)
        for name in here.files:
            if is_image(name):
                self._problems.add("images in no folder of a class", join(self._folder, name))
        if split != "train":
            _refuse_lookalikes(sorted(here.folders), self._problems)
        own = {composed(name): name for name in here.folders}
        for name in sorted(set(own) - set(self._names)):
            self._problems.add("classes that train does not have", join(self._folder, own[name]))
        samples = []
        for number, name in enumerate(self._names):
            found = self._images(join(self._folder, own.get(name, name)))
            if not found and split == "train":
                self._problems.add("classes without an image in train", join(self._folder, name))
            samples += [Sample(key, self._folders.root / key, None, rows=str(number)) for key in found]
        if not samples and split != "train":
            self._problems.add("splits without an image", self._folder)
        return samples

    def _images(self, folder: str) -> list[str]:
        """All images of a class, also those in folders of its folder."""
        files = self._folders.below(folder)
        others = [key for key in files if not is_image(key)]
        for key in others:
            self._warnings.add("files that are no images and are left out", key)
        return [key for key in files if is_image(key)]
