"""The workspace's copy of a dataset: laid out for Ultralytics, with an index that proves what it is.

A file's size, time and number tell that it is the one that was hashed when the copy was made, so that a pod that opens
the copy does not read every byte again; a file of which they differ is hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from trainer.datasets.check import NO_LABEL
from trainer.datasets.digest import ENCODER, Entry, dataset_digest
from trainer.datasets.files import read_file, write_file
from trainer.datasets.image_file import trimmed
from trainer.datasets.model import SPLITS, CheckedSample, Dataset, Sample, Tree, label_path
from trainer.errors import InputError, TrainerError
from trainer.progress import Progress, say
from trainer.runtime import cpu_count
from trainer.whole import write_whole

INDEX = "dataset.json"
STAMPS = "stamps"
CHUNK = 32  # files that a thread takes at once

# Size in bytes, time of the last change in ns and inode of each file, in the order of the index.
Stamps: TypeAlias = "array[int]"
Row = tuple[str, str, str, str]  # place in the copy, key, SHA-256 of the image, of the label file or "-"
Index = dict[str, list[Row]]


class CopyWriter:
    """Lays a dataset out for Ultralytics: an ``images`` folder in every path, and a list of files for each split."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._folders: set[str] = set()
        target.mkdir(parents=True)

    def write(self, item: CheckedSample, image: bytes, label: bytes | None) -> None:
        """Write one sample's files; may be called in several threads."""
        place = stored_path(item.sample.key)
        write_file(self._file(place), image)
        if label is not None:
            write_file(self._file(label_path(place)), label)

    def take(self, item: CheckedSample) -> None:
        """The same with files that are ours to move."""
        image, label = item.sample.files
        place = stored_path(item.sample.key)
        if item.kept is not None or Path(image).is_symlink():
            write_file(self._file(place), trimmed(read_file(image), item.kept))
        else:
            os.rename(image, self._file(place))  # noqa: PTH104 - of a hundred thousand files
        text = item.rows.encode() if item.rows is not None else read_file(label) if label is not None else None
        if text is not None:  # never moved: images that differ in their suffix alone share one label file
            write_file(self._file(label_path(place)), text)

    def copy(self, item: CheckedSample) -> None:
        """The same with files that are somebody else's.

        Raises:
            TrainerError: one was changed since it was checked.
        """
        image, label = item.sample.files
        content = trimmed(read_file(image), item.kept)
        text = item.rows.encode() if item.rows is not None else read_file(label) if label is not None else None
        found = (_sha256(content), NO_LABEL if text is None else _sha256(text))
        if found != (item.image_sha256, item.label_sha256):
            raise TrainerError(
                f"{item.sample.key} of the dataset was changed while it was being copied. Leave the dataset alone; "
                "then retry."
            )
        self.write(item, content, text)

    def write_all(self, checked: dict[str, list[CheckedSample]], write: Callable[[CheckedSample], None]) -> None:
        """Call ``write`` with every sample, in several threads, and say how far it is."""
        items = [item for split in SPLITS for item in checked[split]]
        progress = Progress("Copying images", len(items))

        def write_some(chunk: list[CheckedSample]) -> int:
            for item in chunk:
                write(item)
            return len(chunk)

        with ThreadPoolExecutor(cpu_count()) as pool:
            for count in pool.map(write_some, (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))):
                progress.step(count)

    def finish(self, names: list[str], checked: dict[str, list[CheckedSample]], summary: dict[str, Any]) -> Index:
        """Write what tells Ultralytics and the next pod which files there are."""
        target = Path(self._target)
        index = {split: [_row(item) for item in checked[split]] for split in SPLITS}
        for name, text in _descriptions(names, index):
            (target / name).write_bytes(text)
        with (target / INDEX).open("w", encoding="utf-8") as file:
            file.write(f'{{"names":{ENCODER.encode(names)},"splits":{{')
            for number, (split, rows) in enumerate(index.items()):
                file.write(f'{"," if number else ""}"{split}":[')
                file.writelines(f"{',' if count else ''}{ENCODER.encode(row)}\n" for count, row in enumerate(rows))
                file.write("]")
            file.write(f'}},"summary":{ENCODER.encode(summary)}}}')
        _write_stamps(target, _stamps(target, index))
        return index

    def _file(self, place: str) -> str:
        folder = place.rpartition("/")[0]
        if folder not in self._folders:
            os.makedirs(f"{self._target}/{folder}", exist_ok=True)  # noqa: PTH103
            self._folders.add(folder)
        return f"{self._target}/{place}"


def refuse_same_places(tree: Tree) -> None:
    """Raise InputError where two images would be stored as one file."""
    keys = {sample.key for samples in tree.splits.values() for sample in samples}
    for key in sorted(keys):
        if stored_path(key) != key and stored_path(key) in keys:
            raise InputError(f"Two images of the dataset would be stored as {stored_path(key)}. Rename one of them.")


def stored_path(key: str) -> str:
    """Where an image is kept in the copy. Without an ``images`` folder of its own, one further up would be replaced."""
    return key if "images" in key.split("/")[:-1] else f"images/{key}"


def _descriptions(names: list[str], index: Index) -> Iterator[tuple[str, bytes]]:
    """The files from which Ultralytics knows the dataset: a list of images for each split, and data.yaml."""
    for split, rows in index.items():
        yield f"{split}.txt", "".join(f"./{place}\n" for place, *_ in rows).encode()
    data = {**{split: f"{split}.txt" for split in SPLITS}, "names": dict(enumerate(names))}
    yield "data.yaml", yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _row(item: CheckedSample) -> Row:
    return stored_path(item.sample.key), item.sample.key, item.image_sha256, item.label_sha256


def publish(copy: Path, target: Path) -> bool:
    """Give the copy its name, unless there is one of that name that is sound. Returns whether it has it now.

    A damaged one is repaired file by file: another training may be reading it, and must not lose its images.
    """
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if open_copy(target) is None:
            _repair(copy, target)
        return False
    return True


def _repair(copy: Path, target: Path) -> None:
    files = [path for path in copy.rglob("*") if path.is_file()]
    # The stamps come last: until then, every file that was replaced is hashed by whoever opens the copy.
    for path in sorted(files, key=lambda path: path.name in (INDEX, STAMPS)):
        place = target / path.relative_to(copy)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


def open_copy(folder: Path) -> Dataset | None:
    """The copy in ``folder``, or None where there is none or its content is not what its name says."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:  # neither text nor JSON
        content = {}
    if not _is_index(content, folder.name) or not _is_sound(folder, content["splits"]):
        say(f"The workspace's copy of dataset {folder.name[:12]} is damaged; making it again")
        return None
    _restore_descriptions(folder, content["names"], content["splits"])
    return as_dataset(folder, content["names"], content["splits"], content["summary"])


def _is_index(content: Any, digest: str) -> bool:
    """Whether it is the index of the dataset with this digest; a damaged one may be anything that JSON can say."""
    try:
        index: Index = content["splits"]
        entries: list[Entry] = [
            (split, key, image, label) for split, rows in index.items() for _, key, image, label in rows
        ]
        return "summary" in content and dataset_digest(content["names"], entries) == digest
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _restore_descriptions(folder: Path, names: list[str], index: Index) -> None:
    """They follow from the index, and are no part of the digest: with a line less, a training would read less."""
    for name, text in _descriptions(names, index):
        try:
            same = (folder / name).read_bytes() == text
        except FileNotFoundError:
            same = False
        if not same:
            say(f"{name} of the workspace's copy of dataset {folder.name[:12]} was changed; writing it again")
            write_whole(folder / name, text)


def as_dataset(folder: Path, names: list[str], index: Index, summary: dict[str, Any]) -> Dataset:
    """The copy in ``folder``, with what is known of it."""
    splits = {
        split: [
            Sample(key, f"{folder}/{place}", None if label_sha256 == NO_LABEL else f"{folder}/{label_path(place)}")
            for place, key, _, label_sha256 in rows
        ]
        for split, rows in index.items()
    }
    return Dataset(folder, folder.name, names, splits, summary)


def _is_sound(folder: Path, index: Index) -> bool:
    """Whether every file is there, and is what was hashed when the copy was made."""
    known = _read_stamps(folder)
    try:
        now = _stamps(folder, index)
        if now == known:
            return True
        files = list(_files(index))
        if len(known) == len(now):
            files = [
                file
                for number, file in enumerate(files)
                if now[number * 3 : number * 3 + 3] != known[number * 3 : number * 3 + 3]
            ]
        sound = all(_hashes_agree(folder, files))
    except (FileNotFoundError, NotADirectoryError):
        return False  # of any other error, such as a volume that does not answer, nothing follows
    if sound:
        with suppress(OSError):  # a full volume: the next pod hashes these files, too
            _write_stamps(folder, now)
    return sound


def _hashes_agree(folder: Path, files: list[tuple[str, str]]) -> Iterator[bool]:
    progress = Progress("Checking files of the workspace's copy that changed", len(files))

    def agrees(file: tuple[str, str]) -> bool:
        return _sha256(read_file(f"{folder}/{file[0]}")) == file[1]

    with ThreadPoolExecutor(cpu_count()) as pool:
        for same in pool.map(agrees, files):
            progress.step()
            yield same


def _files(index: Index) -> Iterator[tuple[str, str]]:
    """Every image and label file of the copy, with its SHA-256."""
    for rows in index.values():
        for place, _, image_sha256, label_sha256 in rows:
            yield place, image_sha256
            if label_sha256 != NO_LABEL:
                yield label_path(place), label_sha256


def _stamps(folder: Path, index: Index) -> Stamps:
    """Raises OSError where a file is not there."""
    found: Stamps = array("Q")
    for file, _ in _files(index):
        status = os.stat(f"{folder}/{file}")  # noqa: PTH116 - of a hundred thousand files
        found.extend((status.st_size, max(0, status.st_mtime_ns), status.st_ino))
    return found


def _read_stamps(folder: Path) -> Stamps:
    """None of them where they were never written, or not whole."""
    found: Stamps = array("Q")
    try:
        content = (folder / STAMPS).read_bytes()
    except FileNotFoundError:
        return found
    if len(content) % found.itemsize == 0:
        found.frombytes(content)
    return found


def _write_stamps(folder: Path, stamps: Stamps) -> None:
    write_whole(folder / STAMPS, stamps.tobytes())
