"""Reads every image and label file once: hashes, sizes, boxes, and whatever is wrong with them."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from trainer.datasets.labels import parse_labels
from trainer.datasets.model import CheckedSample, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.progress import Progress
from trainer.runtime import cpu_count

NO_LABEL = "-"  # stands for the hash of a label file that is not there
LEAST_SIDE = 10  # pixels; Ultralytics drops smaller images without a word


@dataclass
class _Reading:
    checked: CheckedSample | None
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def check_tree(tree: Tree, problems: Problems, warnings: Problems) -> dict[str, list[CheckedSample]]:
    """Check every sample; return those that could be read, by split, in the tree's order.

    What training cannot go on with is added to ``problems``, what its owner should know to ``warnings``.
    """
    total = sum(len(samples) for samples in tree.splits.values())
    progress = Progress("Checking images", total)
    checked: dict[str, list[CheckedSample]] = {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for split, samples in tree.splits.items():
            checked[split] = []
            for reading in pool.map(lambda sample: _read(sample, len(tree.names)), samples):
                for kind, where in reading.problems:
                    problems.add(kind, where)
                for kind, where in reading.warnings:
                    warnings.add(kind, where)
                if reading.checked:
                    checked[split].append(reading.checked)
                progress.step()
    _find_duplicates(checked, problems, warnings)
    return checked


def _read(sample: Sample, classes: int) -> _Reading:
    reading = _Reading(None)
    size, image_sha256 = _read_image(sample, reading)
    boxes = np.zeros((0, 5))
    label_sha256 = NO_LABEL
    if sample.label is not None:
        content = sample.label.read_bytes()
        label_sha256 = hashlib.sha256(content).hexdigest()
        try:
            labels = parse_labels(content.decode("utf-8"), classes)
        except UnicodeDecodeError:
            reading.problems.append(("malformed label rows", f"{sample.label.name} is not text"))
        else:
            boxes = labels.boxes
            reading.problems += [(kind, f"{sample.key}: {detail}") for kind, detail in labels.problems]
            if labels.duplicate_rows:
                reading.warnings.append(("label rows that are written twice", sample.key))
    if size:
        reading.checked = CheckedSample(sample, image_sha256, label_sha256, size, boxes)
    return reading


def _read_image(sample: Sample, reading: _Reading) -> tuple[tuple[int, int] | None, str]:
    """Size (width, height) of an image that decodes to its last byte, or None, and the hash of its content."""
    try:
        content = sample.image.read_bytes()
    except OSError as error:
        reading.problems.append(("unreadable images", f"{sample.key} ({error.strerror})"))
        return None, ""
    if not content:
        reading.problems.append(("zero-byte images", sample.key))
        return None, ""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            size = image.size
    # Pillow raises whatever its decoders do: OSError, SyntaxError, ValueError, struct.error, a decompression bomb…
    except Exception as error:
        reason = "not an image" if "cannot identify" in str(error) else str(error)
        reading.problems.append(("unreadable images", f"{sample.key} ({reason})"))
        return None, ""
    if min(size) < LEAST_SIDE:
        reading.problems.append((f"images of less than {LEAST_SIDE} pixels", f"{sample.key} ({size[0]}×{size[1]})"))
    return size, hashlib.sha256(content).hexdigest()


def _find_duplicates(checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
    """The same image in two splits would measure memory; twice in one with other labels is a contradiction."""
    places: dict[str, list[tuple[str, CheckedSample]]] = defaultdict(list)
    for split, samples in checked.items():
        for item in samples:
            places[item.image_sha256].append((split, item))
    for found in places.values():
        if len(found) == 1:
            continue
        where = " = ".join(sorted(f"{item.sample.key} [{split}]" for split, item in found)[:4])
        if len({split for split, _ in found}) > 1:
            problems.add("the same image in two splits", where)
        elif len({item.label_sha256 for _, item in found}) > 1:
            problems.add("the same image twice with different labels", where)
        else:
            warnings.add("the same image twice in a split", where)
