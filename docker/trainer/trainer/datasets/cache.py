"""The workspace's copies of datasets, each in a folder named by its digest.

A copy appears whole or not at all (a rename), so pods may make the same one at once; it is hashed again before each
use, so a damaged one is found out and made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from trainer.datasets.check import NO_LABEL, check_tree
from trainer.datasets.digest import Entry, dataset_digest
from trainer.datasets.digits import Recipe, make_digits
from trainer.datasets.model import SPLITS, CheckedSample, Dataset, Sample, Tree, label_path
from trainer.datasets.problems import Problems
from trainer.datasets.source import fetch, shown
from trainer.datasets.splits import make_missing_splits
from trainer.datasets.summary import summarise
from trainer.datasets.tree import read_tree
from trainer.errors import InputError
from trainer.progress import say
from trainer.runtime import cpu_count

INDEX = "dataset.json"
STALE = 24 * 3600.0  # seconds after which an unfinished copy is one that a killed pod left


def materialise(uri: str, workspace: Path, expected: str | None = None) -> Dataset:
    """A checked copy of the dataset at ``uri``.

    Args:
        uri: what ``--dataset`` names.
        workspace: the volume that the pods of a run share.
        expected: the digest that ``prepare`` recorded; its copy is used where there is one.

    Raises:
        InputError: the dataset is not there, has problems, or is no longer what ``expected`` says.
        TrainerError: it could not be fetched.
    """
    folder = workspace / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    if expected and (dataset := _open(folder / expected)):
        say(f"Dataset {expected[:12]} is in the workspace")
        return dataset
    scratch = folder / f".making-{uuid.uuid4().hex}"
    scratch.mkdir()
    try:
        digest = _make(uri, scratch)
        if expected and digest != expected:
            raise InputError(
                f"The dataset {shown(uri)} has changed since prepare checked it: its digest was "
                f"{expected} and is {digest}. Trigger a new run."
            )
        _publish(scratch / "copy", folder / digest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _remove_stale(folder)
    dataset = _open(folder / digest)
    if dataset is None:
        raise OSError(f"The copy of dataset {digest} in {folder} was damaged while it was written.")
    return dataset


def _make(uri: str, scratch: Path) -> str:
    """Fetch, check and copy into ``scratch``/copy; return the digest."""
    if uri.partition("?")[0] == "digits":
        recipe = Recipe.parse(uri)
        make_digits(recipe, scratch / "source")
        data_yaml, own = scratch / "source" / "data.yaml", True
    else:
        data_yaml, own = fetch(uri, scratch)
    problems, warnings = Problems(), Problems()
    tree = read_tree(data_yaml, problems, confined=own)
    checked = check_tree(tree, problems, warnings)
    made = make_missing_splits(checked, problems)
    problems.raise_if_any(shown(uri))
    entries = [
        (split, item.sample.key, item.image_sha256, item.label_sha256)
        for split, items in checked.items()
        for item in items
    ]
    digest = dataset_digest(tree.names, entries)
    summary = summarise(shown(uri), digest, tree.names, checked, made, warnings.lines())
    _copy(tree, checked, summary, scratch / "copy", move=own)
    return digest


def _copy(
    tree: Tree, checked: dict[str, list[CheckedSample]], summary: dict[str, Any], target: Path, *, move: bool
) -> None:
    """Lay the dataset out for Ultralytics: an ``images`` folder in every path, and a list of files for each split."""
    transfer = os.replace if move else shutil.copyfile
    taken: set[str] = set()
    index: dict[str, list[Entry]] = {}
    for split in SPLITS:
        index[split] = []
        for item in checked[split]:
            place = stored_path(item.sample.key)
            if place in taken:
                raise InputError(f"Two images of the dataset would be stored as {place}. Rename one of them.")
            taken.add(place)
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            transfer(item.sample.image, target / place)
            if item.sample.label is not None:
                label = target / label_path(place)
                label.parent.mkdir(parents=True, exist_ok=True)
                # Never moved: images that differ in their suffix alone share one label file.
                shutil.copyfile(item.sample.label, label)
            index[split].append((place, item.sample.key, item.image_sha256, item.label_sha256))
        lines = "".join(f"./{place}\n" for place, *_ in index[split])
        (target / f"{split}.txt").write_text(lines, encoding="utf-8")
    names = dict(enumerate(tree.names))
    data = {**{split: f"{split}.txt" for split in SPLITS}, "names": names}
    (target / "data.yaml").write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    content = {"names": tree.names, "splits": index, "summary": summary}
    (target / INDEX).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def stored_path(key: str) -> str:
    """Where an image is kept in the copy. Without an ``images`` folder of its own, one further up would be replaced."""
    return key if "images" in key.split("/")[:-1] else f"images/{key}"


def _publish(copy: Path, target: Path) -> None:
    """Give the copy its name, unless a pod that was quicker has done so with a sound one."""
    if target.exists() and _open(target) is None:
        aside = target.with_name(f".making-damaged-{uuid.uuid4().hex}")
        target.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _open(folder: Path) -> Dataset | None:
    """The copy in ``folder``, or None where there is none or its content is not what its name says."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    names: list[str] = content["names"]
    splits: dict[str, list[Sample]] = {}
    for split, rows in content["splits"].items():
        samples = splits[split] = []
        for place, key, _, label_sha256 in rows:
            label = None if label_sha256 == NO_LABEL else folder / label_path(place)
            samples.append(Sample(key, folder / place, label))
    try:
        digest = dataset_digest(names, _hash_again(splits))
    except OSError:
        return None
    if digest != folder.name:
        say(f"The workspace's copy of dataset {folder.name[:12]} is damaged; making it again")
        return None
    return Dataset(folder, digest, names, splits, content["summary"])


def _hash_again(splits: dict[str, list[Sample]]) -> list[Entry]:
    def entry(pair: tuple[str, Sample]) -> Entry:
        split, sample = pair
        label = NO_LABEL if sample.label is None else hashlib.sha256(sample.label.read_bytes()).hexdigest()
        return split, sample.key, hashlib.sha256(sample.image.read_bytes()).hexdigest(), label

    with ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(entry, ((split, sample) for split, samples in splits.items() for sample in samples)))


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(".making-*"):
        try:
            old = time.time() - path.stat().st_mtime > STALE
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(path, ignore_errors=True)
