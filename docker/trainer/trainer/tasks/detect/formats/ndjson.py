"""Ultralytics' NDJSON, as its Platform exports it: a line of the dataset, then one for each image with its labels.

Rows are those that Ultralytics' ``convert_ndjson_to_yolo`` writes: of the first kind of annotation that an image has.
Images lie in ``images/<split>/`` of the folder that the first line's ``path`` names, or are fetched from their
addresses, or, without any, lie anywhere below the dataset's folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trainer.datasets.folders import Folders, is_image
from trainer.datasets.model import SPLITS, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.errors import InputError
from trainer.progress import say
from trainer.tasks.detect.formats.finder import ImageFinder
from trainer.tasks.detect.formats.names import require_distinct
from trainer.transfer import download, open_store, with_retries

SUFFIX = ".ndjson"
TASKS = ("detect", "segment", "pose", "obb")  # of each a detector takes the boxes
FETCHERS = 16
# As many are tried when they fail; an export's addresses expire together.
MOST_FAILURES = 10

Record = dict[str, Any]


@dataclass
class _Wanted:
    """An image that has to be fetched."""

    url: str
    file: Path
    told: str


def find_ndjson(root: Path, files: list[str]) -> list[str]:
    """The NDJSON files of a dataset."""
    return [path for path in files if path.lower().endswith(SUFFIX) and _is_ndjson(root / path)]


def _is_ndjson(file: Path) -> bool:
    try:
        return isinstance(next(_records(file, file.name))[1].get("class_names"), dict)
    except (StopIteration, InputError):
        return False


def read_ndjson(folders: Folders, path: str, scratch: Path, problems: Problems, warnings: Problems) -> Tree:
    """List the samples, and fetch the images that are not there.

    Args:
        folders: of the dataset.
        path: of the file, relative to them.
        scratch: a folder for what is fetched.
        problems: takes what is wrong with single images.
        warnings: takes what the owner should know.

    Raises:
        InputError: the file is broken, or of another task.
        TrainerError: the network failed.
    """
    lines = _records(folders.root / path, path)
    _, about = next(lines)
    if about.get("task", "detect") not in TASKS:
        raise InputError(f"{path} is a dataset of the task {about['task']}; a detector reads {', '.join(TASKS)}.")
    names = _names(about, path)
    finder, splits, wanted = ImageFinder(folders), dict[str, dict[str, Sample]](), list[_Wanted]()
    for number, record in lines:
        where = f"line {number} of {path}"
        name, split = record.get("file"), record.get("split")
        if not isinstance(name, str) or not name or "/" in name or "\\" in name:
            problems.add("images without a file name of their own", f"{where}: {name!r}")
        elif not is_image(name):
            problems.add("files of a kind that is not read as an image", f"{where}: {name}")
        elif split not in SPLITS:
            problems.add(f"images of no split (one of {', '.join(SPLITS)})", f"{where}: {split!r}")
        else:
            samples = splits.setdefault(split, {})
            # Two may have one name, as they came from two folders.
            key = (
                f"images/{split}/{name}"
                if f"images/{split}/{name}" not in samples
                else f"images/{split}/{number}-{name}"
            )
            image = _local(folders, about, split, name) or _address(record, scratch / key, where, wanted)
            if image is None and (found := finder.find(name, path, problems)):
                image = folders.root / found
            if image:
                samples[key] = Sample(key, image, None, _rows(record), _size(record))
    _fetch(wanted, problems)
    ordered = {split: [found[key] for key in sorted(found)] for split, found in splits.items()}
    if not ordered.get("train"):
        found = "".join(f" {line}" for line in problems.lines())
        raise InputError(f"{path} names no image of train.{found} Export the dataset again.")
    return Tree(
        folders.root,
        names,
        ordered,
        f"Ultralytics NDJSON ({path})",
        ours=len(wanted) == sum(map(len, ordered.values())),
    )


def _records(file: Path, shown: str) -> Iterator[tuple[int, Record]]:
    """The mappings of its lines, numbered from 1."""
    with file.open(encoding="utf-8-sig", errors="replace") as content:
        for number, line in enumerate(content, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputError(
                    f"Line {number} of {shown} is not JSON ({error}). Export the dataset again."
                ) from error
            if not isinstance(record, dict):
                raise InputError(f"Line {number} of {shown} is not a JSON object. Export the dataset again.")
            yield number, record


def _names(about: Record, path: str) -> list[str]:
    """By number; those that are missing in between are called class3, as Ultralytics does."""
    try:
        found = {int(number): str(name).strip() for number, name in about["class_names"].items()}
    except (ValueError, AttributeError, KeyError) as error:
        raise InputError(f"{path} has no class_names by number in its first line. Export the dataset again.") from error
    if not found or min(found) < 0:
        raise InputError(f"{path} names no classes in its first line. Export the dataset again.")
    names = [found.get(number, f"class{number}") for number in range(max(found) + 1)]
    require_distinct(names, path)
    return names


def _rows(record: Record) -> str | None:
    """A label file's text; None where nobody has labelled the image."""
    annotations = record.get("annotations")
    if not isinstance(annotations, dict):
        return None
    kind: str
    kind, rows = next(iter(annotations.items()), ("boxes", []))
    # Behind the box of a pose are its keypoints.
    return "".join(
        " ".join(map(str, row[:5] if kind == "pose" else row)) + "\n" for row in rows if isinstance(row, list)
    )


def _size(record: Record) -> tuple[int, int] | None:
    """Width and height that it tells of an image."""
    width, height = record.get("width"), record.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0 else None


def _local(folders: Folders, about: Record, split: str, name: str) -> Path | None:
    """The image in the folder that ``path`` of the first line names, which may not lead out of the dataset."""
    if not isinstance(about.get("path"), str):
        return None
    file = (folders.root / about["path"] / "images" / split / name).resolve()
    return file if file.is_file() and folders.root.resolve() in file.parents else None


def _address(record: Record, file: Path, where: str, wanted: list[_Wanted]) -> Path | None:
    """Where the image of an address will lie."""
    url = record.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
        return None
    wanted.append(_Wanted(url, file, f"{record['file']} in {where}"))
    return file


def _fetch(wanted: list[_Wanted], problems: Problems) -> None:
    """Fetch the images, several at once."""
    if not wanted:
        return
    say(f"Fetching {len(wanted)} images")
    for folder in {each.file.parent for each in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []

    def fetch(each: _Wanted) -> None:
        if len(failed) >= MOST_FAILURES:
            return
        try:
            filesystem, address = open_store(each.url)
            with_retries("image", each.url, lambda: download(filesystem, address, each.file))
        except InputError as error:
            failed.append(f"{each.told} ({error})")

    with ThreadPoolExecutor(FETCHERS) as pool:
        for number, _ in enumerate(pool.map(fetch, wanted), start=1):
            if number % 1000 == 0:
                say(f"Fetched {number}/{len(wanted)} images")
    if failed:
        # Not each of what may be thousands that are missing because of it.
        raise InputError(
            f"Images of the dataset cannot be fetched: {'; '.join(sorted(failed)[:3])} The addresses in an export "
            "expire: export it again, and trigger the run soon after."
        )
