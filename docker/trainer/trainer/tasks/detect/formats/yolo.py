"""Ultralytics' format: data.yaml with class names and splits, images, and a label file for each.

Roboflow, CVAT ("Ultralytics YOLO") and most others export it, each with its own layout.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trainer.datasets.folders import Folders, is_image, suffix
from trainer.datasets.model import SPLITS, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.datasets.split_names import by_folder
from trainer.errors import InputError
from trainer.progress import say
from trainer.tasks.detect.formats.names import class_names
from trainer.tasks.detect.layout import LabelFiles

SYNONYMS = {"val": ("val", "valid", "validation")}
# Ultralytics would train on them.
TRAINED_ELSEWHERE = frozenset({".avif", ".dng", ".heic", ".heif", ".jp2", ".mpo"})
OUTSIDE = "splits that leave the dataset's folder (write them relative to data.yaml, such as images/train)"
WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")  # C:\… or \\server\…


def find_data_yaml(folder: Path) -> Path | None:
    """The dataset's description: data.yaml, else the only YAML file, in the folder or the shallowest below it.

    Raises:
        InputError: there are several.
    """
    for depth in range(3):
        below = [path for pattern in ("*.yaml", "*.yml") for path in folder.glob("*/" * depth + pattern)]
        here = sorted(path for path in below if not any(part.startswith(".") for part in path.parts[-depth - 1 :]))
        named = [path for path in here if path.stem == "data"] or here
        if len(named) == 1:
            return named[0]
        if named:
            names = ", ".join(str(path.relative_to(folder)) for path in named[:10])
            raise InputError(
                f"The dataset has several YAML files ({names}) and none is data.yaml. Name the one that "
                "describes it data.yaml."
            )
    return None


def read_yolo(data_yaml: Path, problems: Problems, warnings: Problems, *, confined: bool) -> Tree:
    """Read ``data_yaml`` and list the samples of its splits, sorted by path.

    Args:
        data_yaml: the description.
        problems: takes what is wrong with single files and splits.
        warnings: takes what the owner should know.
        confined: whether ``path`` in it may not leave the folder (what was downloaded must not name local files).

    Raises:
        InputError: the description cannot be read, or names no classes.
    """
    data, written = _load(data_yaml)
    names = class_names(data, written, data_yaml.name)
    folders = Folders(_root(data, data_yaml, confined), problems)
    reader = _Splits(folders, LabelFiles(folders), problems, warnings)
    splits: dict[str, list[Sample]] = {}
    for split in SPLITS:
        value = next((data[key] for key in SYNONYMS.get(split, (split,)) if data.get(key)), None)
        entries = [] if value is None else [str(entry) for entry in (value if isinstance(value, list) else [value])]
        if entries and not reader.is_missing_test(split, entries):
            splits[split] = reader.read(split, entries)
    if not any(data.get(key) for split in SPLITS for key in SYNONYMS.get(split, (split,))):
        splits = reader.by_folder()
    if "train" not in splits:
        raise InputError(f"{data_yaml.name} names no train images. Add a line such as `train: images/train`.")
    _refuse_same_folder(splits, problems)
    if elsewhere := reader.labels.places_said():
        say(f"{elsewhere[0].upper()}{elsewhere[1:]}")
    return Tree(folders.root, names, splits, f"Ultralytics YOLO ({data_yaml.name})", _keypoint_values(data))


def _load(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The description as YAML reads it, and with every value as it is written."""
    try:
        text = path.read_text(encoding="utf-8")
        data, written = yaml.safe_load(text), yaml.load(text, yaml.BaseLoader)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} is not UTF-8 ({error}). Save it as UTF-8, or export the dataset again."
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path.name} cannot be read: {error}. Mend it, or export the dataset again.") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{path.name} is not a mapping with names, train, val and test. Export the dataset in Ultralytics' format."
        )
    return data, written


def _root(data: dict[str, Any], data_yaml: Path, confined: bool) -> Path:
    """The folder that the splits are relative to: ``path`` where it exists, else that of data.yaml."""
    folder = Path(os.path.normpath(data_yaml.parent.absolute()))  # links stay: a dataset may be made of them
    if not data.get("path"):
        return folder
    root = Path(os.path.normpath(folder / str(data["path"]).replace("\\", "/")))
    inside = root == folder or folder in root.parents
    # Exported datasets carry the path of the machine that they were made on, so a missing one is no error.
    return root if root.is_dir() and (inside or not confined) else folder


def _keypoint_values(data: dict[str, Any]) -> int:
    """Numbers behind the box in a row of a pose: ``kpt_shape`` is [keypoints, 2 or 3]."""
    shape = data.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(value, int) and value > 0 for value in shape):
        return int(shape[0]) * int(shape[1])
    return 0


def _refuse_same_folder(splits: dict[str, list[Sample]], problems: Problems) -> None:
    """One folder as train and val would measure memory; the pairs of equal images need not be listed."""
    train = [sample.key for sample in splits["train"]]
    for split in [split for split in splits if split != "train" and train]:
        if [sample.key for sample in splits[split]] == train:
            problems.add(
                "splits that are the same images as train",
                f"{split} (leave `{split}:` out of data.yaml, and a tenth of train becomes {split}; or give it images "
                "that are not in train)",
            )
            del splits[split]


@dataclass
class _Splits:
    """Lists the samples of the splits of one data.yaml."""

    folders: Folders
    labels: LabelFiles
    problems: Problems
    warnings: Problems

    def is_missing_test(self, split: str, entries: list[str]) -> bool:
        """Whether it is a test split of which nothing is there: Roboflow names one whether it has images or not."""
        if split != "test" or any(WINDOWS.match(entry) for entry in entries):
            return False
        places = [self._resolve(entry) for entry in entries]
        if any(place is None or place.exists() for place in places):
            return False
        self.warnings.add(
            "splits that data.yaml names and the dataset does not have, made from train as if the line were not there",
            f"test: {', '.join(entries)}",
        )
        return True

    def read(self, split: str, entries: list[str]) -> list[Sample]:
        """The samples that the entries of a split name."""
        keys: set[str] = set()
        listed: list[tuple[str, list[str]]] = []
        for entry in entries:
            path = None if WINDOWS.match(entry) else self._resolve(entry)
            if WINDOWS.match(entry):
                self._refuse_windows(split, entry)
            elif path is None:
                self.problems.add(OUTSIDE, f"{split}: {entry}")
            elif path.is_dir():
                listed.append(self._list_folder(path))
                keys.update(listed[-1][1])
            elif path.is_file() and path.suffix.lower() == ".txt":
                keys |= self._list_file(path, split)
            else:
                self.problems.add("splits that do not exist", f"{split}: {entry}")
        samples = [self._sample(key) for key in sorted(keys)]
        if not samples:
            self.problems.add("splits without images", split)
        for folder, images in listed:  # now that it is known which label files belong to images
            self.labels.find_orphans(folder, images, self.problems)
        return samples

    def by_folder(self) -> dict[str, list[Sample]]:
        """The samples of a description without any split, such as the package supervision writes."""
        found = by_folder(self.folders.images())
        samples = {split: [self._sample(key) for key in sorted(found[split])] for split in SPLITS if split in found}
        self.labels.find_all_orphans([key for keys in found.values() for key in keys], self.problems)
        return samples

    def _refuse_windows(self, split: str, entry: str) -> None:
        self.problems.add(
            "absolute paths of a Windows machine, which the pod does not have (write them relative to data.yaml, such "
            "as images/train)",
            f"{split}: {entry}",
        )

    def _resolve(self, entry: str) -> Path | None:
        """An entry's path, or None where it leaves the root; a leading ``../`` that leads nowhere is dropped."""
        root, entry = self.folders.root, entry.replace("\\", "/")
        for text in (entry, entry.removeprefix("../")):
            path = self._actual(Path(os.path.normpath(root / text)))
            if (path == root or root in path.parents) and (path.exists() or text == entry.removeprefix("../")):
                return path
        return None

    def _actual(self, path: Path) -> Path:
        """A path as the dataset has it, see `Folders.actual`."""
        root = self.folders.root
        return root / self.folders.actual(path.relative_to(root).as_posix()) if root in path.parents else path

    def _sample(self, key: str) -> Sample:
        label = self.labels.of(key)
        root = self.folders.root
        return Sample(key, root / key, root / label if label else None)

    def _list_folder(self, folder: Path) -> tuple[str, list[str]]:
        """A folder relative to the root, and the images in it."""
        relative = "" if folder == self.folders.root else folder.relative_to(self.folders.root).as_posix()
        images = []
        for key in self.folders.below(relative):
            if is_image(key):
                images.append(key)
            elif suffix(key) in TRAINED_ELSEWHERE:
                self.problems.add("images of a format that is not served (save them as JPEG or PNG)", key)
        return relative, images

    def _list_file(self, file: Path, split: str) -> set[str]:
        """Images listed in a text file, one path a line, relative to the file (``./``) or to the root."""
        root = self.folders.root
        keys: set[str] = set()
        for line in file.read_text(encoding="utf-8-sig").splitlines():
            text = line.strip().replace("\\", "/")
            if not text:
                continue
            path = self._actual(Path(os.path.normpath((file.parent if text.startswith("./") else root) / text)))
            if WINDOWS.match(line.strip()):
                self._refuse_windows(f"{split} ({file.name})", line.strip())
            elif root not in path.parents:
                self.problems.add("images outside of the dataset's folder", f"{split}: {text}")
            elif not is_image(path.name):
                self.problems.add("files of a kind that is not read as an image", f"{split}: {text}")
            elif not path.is_file():
                self.problems.add("missing images", path.relative_to(root).as_posix())
            else:
                keys.add(path.relative_to(root).as_posix())
        return keys
