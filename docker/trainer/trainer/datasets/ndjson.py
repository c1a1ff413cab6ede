"""Ultralytics' NDJSON, as its Platform exports it: a line of the dataset, then one for each image with its labels.

Images lie in ``images/<split>/`` of the folder that the first line's ``path`` names, or are fetched from their
addresses, or, without any, lie anywhere below the dataset's folder. What labels are is the task's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from trainer.datasets.accents import composed
from trainer.datasets.finder import ImageFinder
from trainer.datasets.folders import Folders, is_image
from trainer.datasets.model import SPLITS
from trainer.datasets.problems import Problems
from trainer.errors import InputError
from trainer.progress import say
from trainer.transfer import download, open_store, with_retries

SUFFIX = ".ndjson"
FETCHERS = 16
LONGEST = 200  # bytes of a file name; file systems take 255, and a copy may have a number before it
MOST_FAILURES = 10  # an export's addresses expire together

Record = dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """An image of the list: its path in the dataset, where it lies, and its line."""

    key: str
    image: Path
    record: Record

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height that the line tells."""
        width, height = self.record.get("width"), self.record.get("height")
        if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
            return width, height
        return None

    @property
    def annotations(self) -> dict[str, Any] | None:
        """What the line says of the image; None where nobody has labelled it."""
        found = self.record.get("annotations")
        return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class Listing:
    """A file's content: the classes by their numbers, the images of each split by key, and whether all were fetched."""

    names: dict[int, str]
    splits: dict[str, list[Listed]]
    fetched: bool


def find_ndjson(root: Path, files: list[str]) -> str | None:
    """The NDJSON file of a dataset.

    Raises:
        InputError: there are several.
    """
    found = [path for path in files if path.lower().endswith(SUFFIX) and _is_ndjson(root / path)]
    if len(found) > 1:
        raise InputError(
            f"The dataset has several NDJSON files: {', '.join(found[:10])}. Give the address of one of them."
        )
    return found[0] if found else None


def _is_ndjson(file: Path) -> bool:
    try:
        return isinstance(next(_records(file, file.name))[1].get("class_names"), dict)
    except (StopIteration, InputError):
        return False


def read_listing(folders: Folders, path: str, tasks: tuple[str, ...], scratch: Path, problems: Problems) -> Listing:
    """List the images, and fetch those that have an address.

    Args:
        folders: of the dataset.
        path: of the file, relative to them.
        tasks: of Ultralytics, whose labels the caller reads; the first is that of a file that tells none.
        scratch: a folder for what is fetched.
        problems: takes what is wrong with single images.

    Raises:
        InputError: the file is broken, or of another task.
        TrainerError: the network failed.
    """
    lines = _records(folders.root / path, path)
    _, about = next(lines, (0, None))
    if about is None:
        raise InputError(f"{path} is empty. Export the dataset again.")
    if (task := about.get("task", "detect")) not in tasks:
        raise InputError(f"{path} is a dataset of the task {task}; this pipeline reads {', '.join(tasks)}.")
    reader = _Reader(folders, path, about, scratch, problems)
    for number, record in lines:
        reader.read(number, record)
    _fetch(reader.wanted)
    splits = {split: [found[key] for key in sorted(found)] for split, found in reader.splits.items()}
    if not splits.get("train"):
        found = "".join(f" {line}" for line in problems.lines())
        raise InputError(f"{path} names no image of train.{found} Export the dataset again.")
    return Listing(_names(about, path), splits, len(reader.wanted) == sum(map(len, splits.values())))


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


def _names(about: Record, path: str) -> dict[int, str]:
    try:
        found = {int(number): composed(str(name).strip()) for number, name in about["class_names"].items()}
    except (ValueError, AttributeError, KeyError) as error:
        raise InputError(f"{path} has no class_names by number in its first line. Export the dataset again.") from error
    if not found or min(found) < 0:
        raise InputError(f"{path} names no classes in its first line. Export the dataset again.")
    return found


@dataclass(frozen=True)
class _Wanted:
    """An image that has to be fetched."""

    url: str
    file: Path
    told: str


@dataclass
class _Reader:
    """Finds the image of each line."""

    folders: Folders
    path: str
    about: Record
    scratch: Path
    problems: Problems
    splits: dict[str, dict[str, Listed]] = field(default_factory=dict)
    wanted: list[_Wanted] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._finder = ImageFinder(self.folders)

    def read(self, number: int, record: Record) -> None:
        """Read one line."""
        where = f"line {number} of {self.path}"
        name, split = record.get("file"), record.get("split")
        if not isinstance(name, str) or not name or set(name) & set("/\\\0") or len(name.encode()) > LONGEST:
            self.problems.add("images without a file name of their own", f"{where}: {name!r}")
        elif not is_image(name):
            self.problems.add("files of a kind that is not read as an image", f"{where}: {name}")
        elif split not in SPLITS:
            self.problems.add(f"images of no split (one of {', '.join(SPLITS)})", f"{where}: {split!r}")
        else:
            found = self.splits.setdefault(split, {})
            key = f"images/{split}/{name}"
            if key in found:  # two of one name came from two folders
                key = f"images/{split}/{number}-{name}"
            if image := self._local(split, name) or self._address(record, key, where) or self._named(name):
                found[key] = Listed(key, image, record)

    def _local(self, split: str, name: str) -> Path | None:
        """The image in the folder that ``path`` of the first line names, which may not lead out of the dataset."""
        if not isinstance(self.about.get("path"), str) or "\0" in self.about["path"]:
            return None
        root = self.folders.root.resolve()
        file = (root / self.about["path"] / "images" / split / name).resolve()
        return file if file.is_file() and root in file.parents else None

    def _address(self, record: Record, key: str, where: str) -> Path | None:
        """Where the image of an address will lie."""
        url = record.get("url")
        if not isinstance(url, str) or not _is_address(url):
            return None
        self.wanted.append(_Wanted(url, self.scratch / key, f"{record['file']} in {where}"))
        return self.scratch / key

    def _named(self, name: str) -> Path | None:
        found = self._finder.find(name, self.path, self.problems)
        return self.folders.root / found if found else None


def _is_address(text: str) -> bool:
    try:
        return urlsplit(text).scheme in ("http", "https")
    except ValueError:
        return False


def _fetch(wanted: list[_Wanted]) -> None:
    """Fetch the images, several at once."""
    if not wanted:
        return
    say(f"Fetching {len(wanted)} images")
    for folder in {each.file.parent for each in wanted}:
        folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    # Not each of what may be thousands is tried, where they fail for one reason.
    stopped = Event()

    def fetch(each: _Wanted) -> None:
        if stopped.is_set():
            return
        try:
            filesystem, address = open_store(each.url)
            with_retries("image", each.url, lambda: download(filesystem, address, each.file))
        except InputError as error:
            failed.append(f"{each.told} ({error})")
            if len(failed) >= MOST_FAILURES:
                stopped.set()
        except BaseException:
            stopped.set()
            raise

    with ThreadPoolExecutor(FETCHERS) as pool:
        for number, _ in enumerate(pool.map(fetch, wanted), start=1):
            if number % 1000 == 0:
                say(f"Fetched {number}/{len(wanted)} images")
    if failed:
        raise InputError(
            f"Images of the dataset cannot be fetched: {'; '.join(sorted(failed)[:3])} The addresses in an export "
            "expire: export it again, and trigger the run soon after."
        )
