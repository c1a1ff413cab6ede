"""Pascal VOC: an XML file for each image, with boxes in pixels and the class as a word.

LabelImg, CVAT, Label Studio and Roboflow write it, the XML beside the image or in Annotations/. Files of the PASCAL
challenge itself count pixels from 1; they are converted as Ultralytics' VOC.yaml does. Objects marked difficult are
left out, as there.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from trainer.datasets.accents import composed
from trainer.datasets.finder import ImageFinder
from trainer.datasets.folders import Folders, join
from trainer.datasets.model import Sample, Tree
from trainer.datasets.problems import Problems
from trainer.datasets.split_names import split_of, split_of_folders
from trainer.errors import InputError
from trainer.tasks.detect.formats.names import require_distinct
from trainer.tasks.detect.labels import format_row

LABEL_MAP = "labelmap.txt"  # CVAT's: a line `name:colour:parts:actions` for each class
BACKGROUND = "background"
LABELME = b"<sourceAnnotation>"  # LabelMe's own XML begins alike
# Folder and database in the files of the package supervision, which counts the first pixel of a box from 1, and its
# last one as the challenge does.
SUPERVISION = ("VOC", "roboflow.ai")
MASKS = ("SegmentationClass", "SegmentationObject")  # folders of pictures that are no images to train on
# LabelImg marks an image that a person has verified by an attribute: <annotation verified="yes">.
_ROOT = re.compile(rb"<annotation[\s>]")
# Behind an image's name in the challenge's lists by class.
_VERDICT = re.compile(r"\s+(-1|0|1)$")


def find_voc(root: Path, files: list[str]) -> list[str]:
    """The XML files that annotate an image."""
    return [path for path in files if path.lower().endswith(".xml") and _is_voc(root / path)]


def _is_voc(file: Path) -> bool:
    with file.open("rb") as content:
        start = content.read(512)
    return _ROOT.search(start) is not None and LABELME not in start


def read_voc(folders: Folders, annotations: list[str], problems: Problems, warnings: Problems) -> Tree:
    """List the samples: every image that has an XML file, and those without that a list in ImageSets/Main names.

    CVAT writes no XML file for an image without objects. Splits are those of these lists, else of folders with such
    names, else all is train.

    Raises:
        InputError: there are no objects, or no images for training.
    """
    reader = _Reader(folders, problems, warnings)
    for path in annotations:
        reader.read(path)
    names = _names(folders, reader.names, problems)
    numbers = {name: number for number, name in enumerate(names)}
    lists, listed = _lists(folders)
    splits: dict[str, list[Sample]] = {}
    for key, (told, objects) in sorted(reader.images.items()):
        rows = "".join(dict.fromkeys(format_row(numbers[name], box) for name, box in objects if name in numbers))
        for name in sorted({name for name, _ in objects} - set(numbers)):
            problems.add(f"labels of unknown class (not in {LABEL_MAP})", f"{key}: {name}")
        split = _split(key, lists)
        if split is None:
            warnings.add("images that no list in ImageSets names, and that are left out", key)
        else:
            splits.setdefault(split, []).append(Sample(key, folders.root / key, None, rows, told))
    for key in reader.without_file():
        split = _split(key, lists) if _stem(key) in listed else None
        if split is None:
            warnings.add("images without a Pascal VOC file, which are left out", key)
        else:
            splits.setdefault(split, []).append(Sample(key, folders.root / key, None))
    if len(splits) == 1 and not lists:  # the name of a folder around everything
        splits = {"train": next(iter(splits.values()))}
    if not splits.get("train"):
        raise InputError("No Pascal VOC file is of an image for training. Add the images to the dataset, too.")
    ordered = {split: sorted(samples, key=lambda sample: sample.key) for split, samples in splits.items()}
    return Tree(folders.root, names, ordered, f"Pascal VOC XML ({len(annotations)} files)")


def _split(key: str, lists: dict[str, str]) -> str | None:
    return lists.get(_stem(key)) if lists else split_of_folders(key) or "train"


def _stem(key: str) -> str:
    return composed(key.rpartition("/")[2].rpartition(".")[0])


def _names(folders: Folders, seen: set[str], problems: Problems) -> list[str]:
    """Of labelmap.txt where there is one, else the words of the files in alphabetical order."""
    file = next((path for path in folders.below("") if path.rpartition("/")[2] == LABEL_MAP), None)
    if file is None:
        names = sorted(seen)
    else:
        lines = (folders.root / file).read_text(encoding="utf-8-sig").splitlines()
        names = [composed(line.split(":")[0].strip()) for line in lines if line.strip() and not line.startswith("#")]
        names = [name for name in names if name != BACKGROUND or name in seen]
        require_distinct(names, file)
    if not names:
        found = "".join(f" {line}" for line in problems.lines())
        raise InputError(f"The Pascal VOC files have no objects. Export the dataset with its annotations.{found}")
    return names


def _lists(folders: Folders) -> tuple[dict[str, str], set[str]]:
    """Splits by image name, as ImageSets/Main/train.txt and its siblings tell; and the names in any list there."""
    splits: dict[str, str] = {}
    listed: set[str] = set()
    for path in sorted(folders.below("")):
        if not path.endswith(".txt") or path.split("/")[-3:-1] != ["ImageSets", "Main"]:
            continue
        name = path.rpartition("/")[2][:-4]
        split = split_of(name) if "_" not in name else None  # cat_train.txt tells which images have cats
        for line in (folders.root / path).read_text(encoding="utf-8-sig").splitlines():
            if stem := composed(_VERDICT.sub("", line.strip()).replace("\\", "/").rpartition("/")[2]):
                listed.add(stem)
                if split:
                    splits[stem] = split
    return splits, listed


class _Reader:
    """Reads XML files one by one; keeps what they say of their images."""

    def __init__(self, folders: Folders, problems: Problems, warnings: Problems) -> None:
        self._folders = folders
        self._finder = ImageFinder(folders)
        self._problems = problems
        self._warnings = warnings
        self.names: set[str] = set()
        # Size and (class, cx cy w h) of the objects, by image.
        self.images: dict[str, tuple[tuple[int, int], list[tuple[str, tuple[float, ...]]]]] = {}

    def without_file(self) -> list[str]:
        """The images that no file read so far is of."""
        return [
            key for key in self._finder.keys if key not in self.images and not set(MASKS) & set(key.split("/")[:-1])
        ]

    def read(self, path: str) -> None:
        """Read one file."""
        try:
            root = ElementTree.parse(self._folders.root / path).getroot()
            size = (int(float(_text(root, "size/width"))), int(float(_text(root, "size/height"))))
            if min(size) <= 0:
                raise ValueError(f"its size is {size[0]}×{size[1]}")
            objects = [found for each in root.iter("object") if (found := self._object(each, root, size, path))]
        except (ElementTree.ParseError, ValueError) as error:
            self._problems.add("Pascal VOC files that cannot be read", f"{path} ({error})")
            return
        key = self._image(root, path)
        if key in self.images:
            self._problems.add("images that two Pascal VOC files are of", f"{key} ({path})")
        elif key:
            self.images[key] = (size, objects)
            self.names.update(name for name, _ in objects)

    def _image(self, root: ElementTree.Element, path: str) -> str | None:
        """The image beside the file or in the folder that tools use; else the one of the name that the file tells."""
        folder, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        parent, _, last = folder.rpartition("/")
        for place in [folder, join(parent, "JPEGImages"), join(parent, "images")][: 3 if last == "Annotations" else 1]:
            if file := self._folders.read(place).images.get(stem):
                return join(place, file)
        return self._finder.find(root.findtext("filename") or f"{stem}.jpg", path, self._problems)

    def _object(
        self, found: ElementTree.Element, root: ElementTree.Element, size: tuple[int, int], path: str
    ) -> tuple[str, tuple[float, ...]] | None:
        name = composed(_text(found, "name").strip())
        if (found.findtext("difficult") or "0").strip() == "1":
            self._warnings.add("objects marked difficult, which are left out as Ultralytics does", f"{path}: {name}")
            return None
        left, top, right, bottom = (float(_text(found, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
        if (root.findtext("folder"), root.findtext("source/database")) == SUPERVISION:
            left, top = left - 1, top - 1
        # The files of the challenge itself; Ultralytics' conversion of them.
        shift = 1 if (root.findtext("source/annotation") or "").startswith("PASCAL VOC") else 0
        x, y = (left + right) / 2 - shift, (top + bottom) / 2 - shift
        return name, (x / size[0], y / size[1], (right - left) / size[0], (bottom - top) / size[1])


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"it has no {path}")
    return text
