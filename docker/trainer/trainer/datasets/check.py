"""Reads every image and label file once: hashes, sizes, boxes, and whatever is wrong with them."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trainer.datasets.files import read_file
from trainer.datasets.image_file import BadImage, ImageFile, inspect, trimmed
from trainer.datasets.model import CheckedSample, Sample, Tree, label_path
from trainer.datasets.problems import Problems
from trainer.progress import Progress
from trainer.runtime import cpu_count
from trainer.tasks.detect.labels import ParsedLabels, parse_labels

NO_LABEL = "-"  # stands for the hash of a label file that is not there
CHUNK = 32  # samples that a thread takes at once
UNLABELLED = 0.1  # share of a split's images without a label file, above which its owner is warned
ASPECT = 0.02  # by which an image's shape may differ from the one that its annotation was made on


# Takes a sample that is sound, with the content of its image and of its label file as they are kept.
Keep = Callable[[CheckedSample, bytes, bytes | None], None]


@dataclass
class _Reading:
    checked: CheckedSample | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def check_tree(
    tree: Tree, problems: Problems, warnings: Problems, keep: Keep | None = None
) -> dict[str, list[CheckedSample]]:
    """Check every sample; return those that could be read, by split, in the tree's order.

    Args:
        tree: what there is.
        problems: takes what training cannot continue with.
        warnings: takes what its owner should know.
        keep: is called in several threads, so that no file is read twice; not after a problem was found.
    """

    def read(chunk: list[Sample]) -> list[_Reading]:
        return [_read(sample, tree, None if problems else keep) for sample in chunk]

    progress = Progress("Checking images", sum(len(samples) for samples in tree.splits.values()))
    checked: dict[str, list[CheckedSample]] = {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        for split, samples in tree.splits.items():
            checked[split] = []
            chunks = (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))
            for readings in pool.map(read, chunks):
                for reading in readings:
                    _tell(reading, problems, warnings)
                    if reading.checked:
                        checked[split].append(reading.checked)
                    progress.step()
            _find_unlabelled(split, checked[split], problems, warnings)
    _find_duplicates(checked, problems, warnings)
    _find_shared_labels(checked, problems)
    return checked


def _tell(reading: _Reading, problems: Problems, warnings: Problems) -> None:
    for kind, where in reading.problems:
        problems.add(kind, where)
    for kind, where in reading.warnings:
        warnings.add(kind, where)


def _read(sample: Sample, tree: Tree, keep: Keep | None) -> _Reading:
    reading = _Reading()
    image, label = sample.files
    try:
        content = read_file(image)
        text = sample.rows.encode() if sample.rows is not None else None if label is None else read_file(label)
    except OSError as error:
        reading.problems.append(("unreadable images", f"{sample.key} ({error.strerror})"))
        return reading
    file = _inspect_image(sample, content, reading)
    rows, classes, label_sha256 = sample.rows, array("I"), NO_LABEL
    if text is not None and (labels := _parse(sample, text, tree, reading)):
        classes = array("I", [int(row[0]) for row in labels.rows])
        if labels.mixed or labels.poses:
            rows = labels.text()
            text = rows.encode()
        label_sha256 = hashlib.sha256(text).hexdigest()
    if file:
        content = trimmed(content, file.kept)
        image_sha256 = hashlib.sha256(content).hexdigest()
        reading.checked = CheckedSample(sample, image_sha256, label_sha256, file.size, classes, file.kept, rows)
        if keep and not reading.problems:
            keep(reading.checked, content, text)
    return reading


def _parse(sample: Sample, content: bytes, tree: Tree, reading: _Reading) -> ParsedLabels | None:
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


def _inspect_image(sample: Sample, content: bytes, reading: _Reading) -> ImageFile | None:
    """What an image file is; None: it cannot be trained on."""
    try:
        found = inspect(content, sample.key)
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
    return found


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


def _find_shared_labels(checked: dict[str, list[CheckedSample]], problems: Problems) -> None:
    """Images whose names differ in the suffix alone have one label file, in which two sets of boxes cannot be."""
    found: dict[str, CheckedSample] = {}
    for items in checked.values():
        for item in items:
            other = found.setdefault(label_path(item.sample.key), item)
            if other.label_sha256 != item.label_sha256:
                problems.add(
                    "images with one name and other labels (rename one of them)",
                    f"{item.sample.key} and {other.sample.key}",
                )
