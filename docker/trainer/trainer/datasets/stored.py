"""The workspace's copy of a dataset: laid out for Ultralytics, with an index that proves what it is.

A file's size, time and number tell that it is the one that was hashed when the copy was made, so that a pod that opens
the copy does not read every byte again; a file of which they differ is hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from trainer.datasets.check import NO_LABEL
from trainer.datasets.digest import Entry, dataset_digest
from trainer.datasets.image_file import trimmed
from trainer.datasets.model import SPLITS, CheckedSample, Dataset, Sample, label_path
from trainer.errors import InputError
from trainer.progress import Progress, say
from trainer.runtime import cpu_count

INDEX = "dataset.json"
STAMPS = "stamps.json"
CHUNK = 32  # files that a thread takes at once

Stamp = list[int]  # size in bytes, time of the last change in ns, inode
Row = tuple[str, str, str, str]  # place in the copy, key, SHA-256 of the image, of the label file or "-"


def write_copy(
    names: list[str], checked: dict[str, list[CheckedSample]], summary: dict[str, Any], target: Path, *, move: bool
) -> None:
    """Lay the dataset out for Ultralytics: an ``images`` folder in every path, and a list of files for each split.

    ``move``: the source is ours, and is used up.
    """
    index: dict[str, list[Row]] = {}
    items: list[tuple[str, CheckedSample]] = []
    taken: set[str] = set()
    for split in SPLITS:
        rows = index[split] = []
        for item in checked[split]:
            place = stored_path(item.sample.key)
            if place in taken:
                raise InputError(f"Two images of the dataset would be stored as {place}. Rename one of them.")
            taken.add(place)
            items.append((place, item))
            rows.append((place, item.sample.key, item.image_sha256, item.label_sha256))
        lines = "".join(f"./{place}\n" for place, *_ in rows)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{split}.txt").write_text(lines, encoding="utf-8")
    _write_files(items, target, move=move)
    data = {**{split: f"{split}.txt" for split in SPLITS}, "names": dict(enumerate(names))}
    (target / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    content = {"names": names, "splits": index, "summary": summary}
    (target / INDEX).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    _write_stamps(target, {file: _stamp(target / file) for file, _ in _files(index)})


def stored_path(key: str) -> str:
    """Where an image is kept in the copy. Without an ``images`` folder of its own, one further up would be replaced."""
    return key if "images" in key.split("/")[:-1] else f"images/{key}"


def _write_files(items: list[tuple[str, CheckedSample]], target: Path, *, move: bool) -> None:
    for folder in {path.rpartition("/")[0] for place, _ in items for path in (place, label_path(place))}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    progress = Progress("Copying images", len(items))

    def write(chunk: list[tuple[str, CheckedSample]]) -> int:
        for place, item in chunk:
            _write_image(item, target / place, move=move)
            if item.rows is not None:
                (target / label_path(place)).write_text(item.rows, encoding="utf-8")
            elif item.sample.label is not None:
                # Never moved: images that differ in their suffix alone share one label file.
                shutil.copyfile(item.sample.label, target / label_path(place))
        return len(chunk)

    with ThreadPoolExecutor(cpu_count()) as pool:
        for count in pool.map(write, (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))):
            for _ in range(count):
                progress.step()


def _write_image(item: CheckedSample, target: Path, *, move: bool) -> None:
    if item.kept is not None:
        target.write_bytes(trimmed(item.sample.image.read_bytes(), item.kept))
    elif move and not item.sample.image.is_symlink():
        item.sample.image.replace(target)
    else:
        shutil.copyfile(item.sample.image, target)


def publish(copy: Path, target: Path) -> None:
    """Give the copy its name, unless there is one of that name that is sound.

    A damaged one is repaired file by file: another training may be reading it, and must not lose its images.
    """
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if open_copy(target) is None:
            _repair(copy, target)


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
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    names: list[str] = content["names"]
    index: dict[str, list[Row]] = content["splits"]
    entries: list[Entry] = [(split, *row[1:]) for split, rows in index.items() for row in rows]
    if dataset_digest(names, entries) != folder.name or not _is_sound(folder, index):
        say(f"The workspace's copy of dataset {folder.name[:12]} is damaged; making it again")
        return None
    splits = {
        split: [
            Sample(key, folder / place, None if label_sha256 == NO_LABEL else folder / label_path(place))
            for place, key, _, label_sha256 in rows
        ]
        for split, rows in index.items()
    }
    return Dataset(folder, folder.name, names, splits, content["summary"])


def _is_sound(folder: Path, index: dict[str, list[Row]]) -> bool:
    """Whether every file is there, and is what was hashed when the copy was made."""
    try:
        known: dict[str, Stamp] = json.loads((folder / STAMPS).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        known = {}
    try:
        now = {file: _stamp(folder / file) for file, _ in _files(index)}
        changed = [(file, sha256) for file, sha256 in _files(index) if now[file] != known.get(file)]
        if not all(_hashes_agree(folder, changed)):
            return False
    except OSError:
        return False
    if changed:
        _write_stamps(folder, now)
    return True


def _hashes_agree(folder: Path, files: list[tuple[str, str]]) -> Iterator[bool]:
    progress = Progress("Checking files of the workspace's copy that changed", len(files))
    with ThreadPoolExecutor(cpu_count()) as pool:
        for same in pool.map(
            lambda file: hashlib.sha256((folder / file[0]).read_bytes()).hexdigest() == file[1], files
        ):
            progress.step()
            yield same


def _files(index: dict[str, list[Row]]) -> Iterable[tuple[str, str]]:
    """Every image and label file of the copy, with its SHA-256."""
    for rows in index.values():
        for place, _, image_sha256, label_sha256 in rows:
            yield place, image_sha256
            if label_sha256 != NO_LABEL:
                yield label_path(place), label_sha256


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _write_stamps(folder: Path, stamps: dict[str, Stamp]) -> None:
    scratch = folder / f".{STAMPS}.{os.getpid()}"
    scratch.write_text(json.dumps(stamps, ensure_ascii=False), encoding="utf-8")
    scratch.replace(folder / STAMPS)
