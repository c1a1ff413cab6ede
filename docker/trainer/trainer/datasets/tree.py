"""Reads an Ultralytics dataset tree: data.yaml, and the images and label files of each split that it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from trainer.datasets.model import IMAGE_SUFFIXES, SPLITS, Sample, Tree, label_path
from trainer.datasets.problems import Problems
from trainer.errors import InputError

SYNONYMS = {"val": ("val", "valid", "validation")}
NOT_LABELS = frozenset({"classes.txt", "readme.txt", "train.txt", "val.txt", "test.txt"})


def find_data_yaml(folder: Path) -> Path:
    """The dataset's description: data.yaml, else the only YAML file, in the folder or the shallowest below it.

    Raises:
        InputError: there is none, or several.
    """
    found = sorted(folder.rglob("*.yaml")) + sorted(folder.rglob("*.yml"))
    for depth in range(1, 4):
        here = [path for path in found if len(path.relative_to(folder).parts) == depth]
        named = [path for path in here if path.stem == "data"] or here
        if len(named) == 1:
            return named[0]
        if named:
            names = ", ".join(str(path.relative_to(folder)) for path in named[:10])
            raise InputError(
                f"The dataset has several YAML files ({names}) and none is data.yaml. Name the one that "
                "describes it data.yaml."
            )
    raise InputError(
        "The dataset has no data.yaml. It must be an Ultralytics-format tree: data.yaml with names, "
        "train, val and test, beside images/ and labels/."
    )


def read_tree(data_yaml: Path, problems: Problems, *, confined: bool) -> Tree:
    """Read ``data_yaml`` and list the samples of its splits, sorted by path.

    Args:
        data_yaml: the description.
        problems: takes what is wrong with single files and splits.
        confined: whether ``path`` in it may not leave the folder (what was downloaded must not name local files).

    Raises:
        InputError: the description cannot be read, or names no classes.
    """
    data = _load(data_yaml)
    names = _class_names(data, data_yaml.name)
    root = _root(data, data_yaml, confined)
    splits: dict[str, list[Sample]] = {}
    for split in SPLITS:
        value = next((data[key] for key in SYNONYMS.get(split, (split,)) if data.get(key)), None)
        if value is not None:
            splits[split] = _read_split(root, split, value, problems)
    if "train" not in splits:
        raise InputError(f"{data_yaml.name} names no train images. Add a line such as `train: images/train`.")
    return Tree(root, names, splits)


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path.name} cannot be read: {error}. Mend it, or export the dataset again.") from error
    if not isinstance(data, dict):
        raise InputError(
            f"{path.name} is not a mapping with names, train, val and test. Export the dataset in Ultralytics' format."
        )
    return data


def _class_names(data: dict[str, Any], file: str) -> list[str]:
    names = data.get("names")
    if not names or not isinstance(names, (list, dict)):
        raise InputError(f"{file} has no names: list the classes under `names`, in the order of their numbers.")
    if isinstance(names, dict):
        numbers = sorted(names, key=str)
        if set(names) != set(range(len(names))):
            raise InputError(
                f"{file} numbers its names {', '.join(map(str, numbers[:10]))}; they must be 0 to "
                f"{len(names) - 1} with none left out."
            )
        names = [names[number] for number in range(len(names))]
    texts = [str(name).strip() for name in names]
    twice = sorted({name for name in texts if texts.count(name) > 1 or not name})
    if twice:
        raise InputError(
            f"{file} gives two classes one name (or an empty one): {', '.join(map(repr, twice[:10]))}. "
            "Give each class a name of its own."
        )
    count = data.get("nc")
    if count is not None and str(count) != str(len(texts)):
        raise InputError(f"{file} says nc: {count} but names {len(texts)} classes. Make them agree.")
    return texts


def _root(data: dict[str, Any], data_yaml: Path, confined: bool) -> Path:
    """The folder that the splits are relative to: ``path`` where it exists, else that of data.yaml."""
    folder = Path(os.path.normpath(data_yaml.parent.absolute()))  # links stay: a dataset may be made of them
    if not data.get("path"):
        return folder
    root = Path(os.path.normpath(folder / str(data["path"])))
    inside = root == folder or folder in root.parents
    # Exported datasets carry the path of the machine that they were made on, so a missing one is no error.
    return root if root.is_dir() and (inside or not confined) else folder


def _read_split(root: Path, split: str, value: Any, problems: Problems) -> list[Sample]:
    entries = value if isinstance(value, list) else [value]
    keys: set[str] = set()
    for entry in entries:
        path = _resolve(root, str(entry))
        if path is None:
            problems.add("splits that leave the dataset's folder", f"{split}: {entry}")
        elif path.is_dir():
            keys |= _list_folder(root, path, split, problems)
        elif path.is_file() and path.suffix.lower() == ".txt":
            keys |= _list_file(root, path, split, problems)
        else:
            problems.add("splits that do not exist", f"{split}: {entry}")
    samples = [_sample(root, key) for key in sorted(keys)]
    if not samples:
        problems.add("splits without images", split)
    return samples


def _resolve(root: Path, entry: str) -> Path | None:
    """An entry's path, or None where it leaves the root; a leading ``../`` that leads nowhere is dropped."""
    for text in (entry, entry.removeprefix("../")):
        path = Path(os.path.normpath(root / text))
        if (path == root or root in path.parents) and (path.exists() or text == entry.removeprefix("../")):
            return path
    return None


def _sample(root: Path, key: str) -> Sample:
    label = root / label_path(key)
    return Sample(key, root / key, label if label.is_file() else None)


def _list_folder(root: Path, folder: Path, split: str, problems: Problems) -> set[str]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    images = {path.relative_to(root).as_posix() for path in files if path.suffix.lower() in IMAGE_SUFFIXES}
    _find_orphans(root, folder, images, problems)
    return images


def _find_orphans(root: Path, folder: Path, images: set[str], problems: Problems) -> None:
    """A label file without its image tells of an image that was lost on the way."""
    expected = {label_path(key) for key in images}
    labels = root / label_path((folder / "x").relative_to(root).as_posix())
    for path in labels.parent.rglob("*.txt"):
        key = path.relative_to(root).as_posix()
        if key not in expected and path.name.lower() not in NOT_LABELS and not path.name.startswith("."):
            problems.add("missing images, of which only the label file is there", key)


def _list_file(root: Path, file: Path, split: str, problems: Problems) -> set[str]:
    """Images listed in a text file, one path a line, relative to the file (``./``) or to the root."""
    keys: set[str] = set()
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        text = line.strip()
        if not text:
            continue
        path = Path(os.path.normpath((file.parent if text.startswith("./") else root) / text))
        if root not in path.parents:
            problems.add("images outside of the dataset's folder", f"{split}: {text}")
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            problems.add("files of a kind that is not read as an image", f"{split}: {text}")
        elif not path.is_file():
            problems.add("missing images", path.relative_to(root).as_posix())
        else:
            keys.add(path.relative_to(root).as_posix())
    return keys
