"""COCO JSON: one file a split, with images, categories and a box [x, y, width, height] in pixels for each object.

Boxes are converted as Ultralytics' ``convert_coco`` does. Classes are the categories in the order of their ids, so that
ids may start anywhere and have holes.
"""

from __future__ import annotations

import json
import math
import mmap
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.datasets.accents import composed
from trainer.datasets.finder import ImageFinder
from trainer.datasets.folders import Folders
from trainer.datasets.model import Sample, Tree
from trainer.datasets.problems import Problems
from trainer.datasets.split_names import split_of_path
from trainer.errors import InputError
from trainer.tasks.detect.formats.names import require_distinct
from trainer.tasks.detect.labels import format_row

KEYS = (b'"images"', b'"annotations"', b'"categories"')


@dataclass(frozen=True, slots=True)
class _Object:
    """An annotation: only what a detector is trained with is kept, so that polygons do not stay in memory."""

    image: Any
    category: str
    box: tuple[float, ...] | None
    crowd: bool


def find_coco(root: Path, files: list[str]) -> list[str]:
    """The COCO files of a dataset: those of instances where there are also ones of captions and keypoints."""
    found = [path for path in files if path.lower().endswith(".json") and _is_coco(root / path)]
    instances = [path for path in found if "instances" in path.rpartition("/")[2].lower()]
    return instances or found


def _is_coco(file: Path) -> bool:
    """Whether it has the three lists, in whatever order: each may be hundreds of megabytes from both ends."""
    with file.open("rb") as content:
        if content.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
            return False
        with mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return all(whole.find(key) >= 0 for key in KEYS)


def read_coco(folders: Folders, annotations: list[str], problems: Problems, warnings: Problems) -> Tree:
    """List the samples that the files name.

    Raises:
        InputError: a file is broken, two are of one split, or they do not know the same classes.
    """
    by_split: dict[str, str] = {}
    for path in annotations:
        split = (split_of_path(path) if len(annotations) > 1 else None) or "train"
        if split in by_split:
            raise InputError(
                f"{by_split[split]} and {path} are both annotations of {split}. Name them after their splits, such as "
                "instances_train.json and instances_val.json."
            )
        by_split[split] = path
    finder = ImageFinder(folders)
    contents = {split: _load(folders.root / path, path) for split, path in by_split.items()}
    categories = _categories(contents, by_split)
    numbers = {category: number for number, category in enumerate(categories)}
    splits = {
        split: _samples(folders.root, content, by_split[split], numbers, finder, problems, warnings)
        for split, content in contents.items()
    }
    if "train" not in splits:
        raise InputError(
            f"No COCO file is of train; there are {', '.join(annotations)}. Name one instances_train.json."
        )
    named = {sample.key for samples in splits.values() for sample in samples}
    for key in finder.keys:
        if key not in named:
            warnings.add("images that no annotation file names, and that are left out", key)
    return Tree(folders.root, list(categories.values()), splits, f"COCO JSON ({', '.join(annotations)})")


def _load(file: Path, shown: str) -> dict[str, Any]:
    def keep(value: dict[str, Any]) -> Any:
        if "image_id" in value and "category_id" in value:
            box = _numbers(value.get("bbox")) or _box_of(value.get("segmentation"))
            # One text for all objects of a category, of which there may be millions.
            category = sys.intern(str(value["category_id"]))
            return _Object(value["image_id"], category, box, bool(value.get("iscrowd")))
        return value

    try:
        content = json.loads(file.read_bytes(), object_hook=keep)
    except ValueError as error:
        raise InputError(f"{shown} is not JSON ({error}). Export the dataset again.") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise InputError(f"{shown} is not a COCO file: it must have lists of images, annotations and categories.")
    _require_fields(content, shown)
    return content


def _numbers(box: Any) -> tuple[float, ...] | None:
    """A box whose numbers may be written as text; None of anything else."""
    try:
        return tuple(map(float, box)) if isinstance(box, list) and len(box) == 4 else None
    except (TypeError, ValueError):
        return None


def _pixels(value: Any) -> int:
    """A width or height; 0 where it is not told."""
    numbers = _numbers([value, 0, 0, 0])
    return int(numbers[0]) if numbers and math.isfinite(numbers[0]) else 0


def _require_fields(content: dict[str, Any], shown: str) -> None:
    for entry in content["annotations"]:
        if not isinstance(entry, _Object):
            raise InputError(
                f"{shown} has annotations without image_id and category_id. Export the dataset for object detection."
            )
    for entry in content["images"]:
        if not isinstance(entry, dict) or entry.get("id") is None or not _file_of(entry):
            raise InputError(
                f"{shown} has images without id or file_name: {str(entry)[:100]}. Export the dataset again."
            )
    for entry in content["categories"]:
        if not isinstance(entry, dict) or entry.get("id") is None or entry.get("name") is None:
            raise InputError(
                f"{shown} has categories without id or name: {str(entry)[:100]}. Export the dataset again."
            )


def _file_of(image: dict[str, Any]) -> str:
    """The name of an image; LVIS has an address in its place."""
    return str(image.get("file_name") or image.get("coco_url") or "")


def _box_of(segmentation: Any) -> tuple[float, ...] | None:
    """[x, y, width, height] around polygons [[x1, y1, x2, y2 …] …]."""
    if not isinstance(segmentation, list) or not all(
        isinstance(part, list) and len(part) >= 6 for part in segmentation
    ):
        return None
    xs = [value for part in segmentation for value in part[0::2]]
    ys = [value for part in segmentation for value in part[1::2]]
    return (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)) if xs else None


def _categories(contents: dict[str, dict[str, Any]], files: dict[str, str]) -> dict[str, str]:
    """Names by id, in the order of ids; without those that only stand above others, as Roboflow writes one."""
    used = {annotation.category for content in contents.values() for annotation in content["annotations"]}
    found = {split: _names(content["categories"], used, files[split]) for split, content in contents.items()}
    first = next(iter(found))
    for split, names in found.items():
        if names != found[first]:
            raise InputError(
                f"{files[first]} and {files[split]} do not have the same categories ({_told(found[first])}; "
                f"{_told(names)}). Export them with one list of classes."
            )
    names = found[first]
    if not names:
        raise InputError(f"{files[first]} has no categories. Export the dataset with its classes.")
    require_distinct(list(names.values()), files[first])
    return names


def _names(categories: list[dict[str, Any]], used: set[str], file: str) -> dict[str, str]:
    """Names by id of one file; an id may be a number in one list and its text in another."""
    above = {str(entry.get("supercategory", "")) for entry in categories}
    found: dict[str, str] = {}
    for entry in sorted(categories, key=_order):
        number, name = str(entry["id"]), str(entry["name"])
        if number not in used and name in above and str(entry.get("supercategory")) != name:
            continue
        if number in found:
            raise InputError(
                f"{file} gives the category id {number} to {found[number]} and to {name.strip()}. Give each its "
                "own, or export the dataset again."
            )
        found[number] = composed(name.strip())
    return found


def _order(category: dict[str, Any]) -> tuple[bool, int, str]:
    """Numbers by their value, before other text."""
    number = str(category["id"])
    return not number.isdigit(), int(number) if number.isdigit() else 0, number


def _told(categories: dict[str, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in list(categories.items())[:10])


def _samples(
    root: Path,
    content: dict[str, Any],
    file: str,
    numbers: dict[str, int],
    finder: ImageFinder,
    problems: Problems,
    warnings: Problems,
) -> list[Sample]:
    objects: dict[str, list[_Object]] = defaultdict(list)
    for annotation in content["annotations"]:
        objects[str(annotation.image)].append(annotation)
    samples: dict[str, Sample] = {}
    owners: dict[str, str] = {}  # the image that has an id
    for image in content["images"]:
        told, number = _file_of(image), str(image["id"])
        if (other := owners.setdefault(number, told)) != told:
            problems.add("images with one id, of which none can tell its boxes", f"{other} and {told} in {file}")
        found = objects.pop(number, [])
        key = finder.find(told, file, problems)
        if key is None:
            continue
        if key in samples:
            problems.add("images that are named twice", f"{told} in {file}")
        # Label Studio writes null for an image that it could not open, and that nobody drew a box on.
        size = (_pixels(image.get("width")), _pixels(image.get("height")))
        if found and min(size) <= 0:
            problems.add("images whose boxes are in pixels of an unknown width and height", f"{told} in {file}")
            continue
        rows = _rows(found, size, numbers, f"{told} in {file}", problems, warnings)
        samples[key] = Sample(key, root / key, None, rows, size if min(size) > 0 else None)
    for number in objects:
        warnings.add("images that only annotations know, which are left out", f"id {number} in {file}")
    return [samples[key] for key in sorted(samples)]


def _rows(
    objects: list[_Object],
    size: tuple[int, int],
    numbers: dict[str, int],
    where: str,
    problems: Problems,
    warnings: Problems,
) -> str:
    """A label file's text of one image of ``size`` (width, height)."""
    width, height = size
    rows: dict[str, None] = {}
    for found in objects:
        if found.category not in numbers:
            problems.add("labels of unknown class", f"{where}: category {found.category}")
        elif found.crowd:
            warnings.add("crowds (iscrowd), which are left out as Ultralytics does", where)
        elif found.box is None:
            problems.add("objects without a box", where)
        elif found.box[2] <= 0 or found.box[3] <= 0:
            warnings.add("boxes without width or height, which are left out as Ultralytics does", where)
        else:
            left, top, across, down = found.box
            box = ((left + across / 2) / width, (top + down / 2) / height, across / width, down / height)
            rows[format_row(numbers[found.category], box)] = None
    return "".join(rows)
