"""Reads every image and label file once: hashes, sizes, boxes, and whatever is wrong with them."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trainer.datasets.image_file import BadImage, ImageFile, inspect, trimmed
from trainer.datasets.labels import ParsedLabels, parse_labels
from trainer.datasets.model import CheckedSample, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.progress import Progress
from trainer.runtime import cpu_count

NO_LABEL = "-"  # stands for the hash of a label file that is not there
CHUNK = 32  # samples that a thread takes at once
UNLABELLED = 0.1  # share of a split's images without a label file, above which its owner is warned
ASPECT = 0.02  # by which an image's shape may differ from the one that its annotation was made on


@dataclass
class _Reading:
    checked: CheckedSample | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def check_tree(tree: Tree, problems: Problems, warnings: Problems) -> dict[str, list[CheckedSample]]:
    """Check every sample; return those that could be read, by split, in the tree's order.

    What training cannot go on with is added to ``problems``, what its owner should know to ``warnings``.
    """
    progress = Progress("Checking images", sum(len(samples) for samples in tree.splits.values()))
    checked: dict[str, list[CheckedSample]] = {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for split, samples in tree.splits.items():
            checked[split] = []
            chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
            for readings in pool.map(lambda chunk: [_read(sample, tree) for sample in chunk], chunks):
                for reading in readings:
                    _tell(reading, problems, warnings)
                    if reading.checked:
                        checked[split].append(reading.checked)
                    progress.step()
            _find_unlabelled(split, checked[split], problems, warnings)
    _find_duplicates(checked, problems, warnings)
    return checked


def _tell(reading: _Reading, problems: Problems, warnings: Problems) -> None:
    for kind, where in reading.problems:
        problems.add(kind, where)
    for kind, where in reading.warnings:
        warnings.add(kind, where)


def _read(sample: Sample, tree: Tree) -> _Reading:
    reading = _Reading()
    image = _read_image(sample, reading)
    label_sha256, rows, classes = NO_LABEL, sample.rows, array("I")
    if sample.labelled:
        content = sample.label.read_bytes() if sample.label else (sample.rows or "").encode()
        labels = _read_labels(sample, content, tree, reading)
        if labels and (labels.mixed or labels.poses):
            rows = labels.text()
        if rows is not None:
            content = rows.encode()
        label_sha256 = hashlib.sha256(content).hexdigest()
        classes = array("I", [int(row[0]) for row in labels.rows]) if labels else classes
    if image:
        file, image_sha256 = image
        reading.checked = CheckedSample(sample, image_sha256, label_sha256, file.size, classes, file.kept, rows)
    return reading


def _read_labels(sample: Sample, content: bytes, tree: Tree, reading: _Reading) -> ParsedLabels | None:
    try:
        labels = parse_labels(content.decode("utf-8"), len(tree.names), tree.keypoint_values)
    except UnicodeDecodeError:
        name = sample.label.name if sample.label else sample.key
        reading.problems.append(("malformed label rows", f"{name} is not text"))
        return None
    reading.problems += [(kind, f"{sample.key}: {detail}") for kind, detail in labels.problems]
    if labels.duplicate_rows:
        reading.warnings.append(("label rows that are written twice", sample.key))
    if labels.mixed:
        kind = "label files with boxes and polygons, of which the boxes around the polygons are taken"
        reading.warnings.append((kind, sample.key))
    return labels


def _read_image(sample: Sample, reading: _Reading) -> tuple[ImageFile, str] | None:
    """What an image file is, and the hash of it as it is kept; None: it cannot be trained on."""
    try:
        content = sample.image.read_bytes()
        found = inspect(content, sample.image.name)
    except OSError as error:
        reading.problems.append(("unreadable images", f"{sample.key} ({error.strerror})"))
        return None
    except BadImage as error:
        detail = f" ({error.detail})" if error.detail else ""
        reading.problems.append((error.kind, sample.key + detail))
        return None
    if found.kept is not None:
        kind = "JPEG files with something behind the picture, or without its end marker, which are kept clean"
        reading.warnings.append((kind, sample.key))
    if sample.told and not _same_shape(found.size, sample.told):
        width, height = found.size
        reading.problems.append(
            (
                "images of another shape than their annotation says",
                f"{sample.key} ({width}×{height} upright, annotated as {sample.told[0]}×{sample.told[1]})",
            )
        )
    return found, hashlib.sha256(trimmed(content, found.kept)).hexdigest()


def _same_shape(size: tuple[int, int], told: tuple[int, int]) -> bool:
    """Whether boxes in shares of one are boxes in shares of the other: a smaller copy of it will do."""
    return size == told or abs(size[0] * told[1] / (size[1] * told[0]) - 1) <= ASPECT


def _find_unlabelled(split: str, items: list[CheckedSample], problems: Problems, warnings: Problems) -> None:
    """Images that nobody labelled would be trained as background; a split without any box measures nothing."""
    if not items:
        return
    bare = sum(not item.sample.labelled for item in items)
    if not any(item.classes for item in items):
        problems.add(
            "splits without a box in any image",
            f"{split} ({bare} of its {len(items)} images have no label file; label files lie in labels/ in place of "
            "images/, or beside the images, and have the image's name with .txt)",
        )
    elif bare > UNLABELLED * len(items):
        warnings.add(
            "splits with many images that have no label file, and are trained as images without objects",
            f"{split} ({bare} of {len(items)}, {bare / len(items):.0%})",
        )


def _find_duplicates(checked: dict[str, list[CheckedSample]], problems: Problems, warnings: Problems) -> None:
    """The same image in two splits would measure memory; twice in one with other labels is a contradiction."""
    counts = Counter(item.image_sha256 for samples in checked.values() for item in samples)
    places: dict[str, list[tuple[str, CheckedSample]]] = defaultdict(list)
    for split, samples in checked.items():
        for item in samples:
            if counts[item.image_sha256] > 1:
                places[item.image_sha256].append((split, item))
    for found in places.values():
        where = " = ".join(sorted(f"{item.sample.key} [{split}]" for split, item in found)[:4])
        if len({split for split, _ in found}) > 1:
            problems.add("the same image in two splits", where)
        elif len({item.label_sha256 for _, item in found}) > 1:
            problems.add("the same image twice with different labels", where)
        else:
            warnings.add("the same image twice in a split", where)
