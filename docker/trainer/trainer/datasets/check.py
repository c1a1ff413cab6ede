"""Reads every image and label file once: hashes, sizes, boxes, and whatever is wrong with them."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from trainer.datasets.files import read_file
from trainer.datasets.image_file import BadImage, ImageFile, inspect, trimmed
from trainer.datasets.labelling import Labelling, Labels
from trainer.datasets.model import CheckedSample, Sample, Tree
from trainer.datasets.problems import Problems
from trainer.progress import Progress
from trainer.runtime import cpu_count

NO_LABEL = "-"  # stands for the hash of a label file that is not there
CHUNK = 32  # samples that a thread takes at once
ASPECT = 0.02  # by which an image's shape may differ from the one that its annotation was made on


# Takes a sample that is sound, with the content of its image and of its label file as they are kept.
Keep = Callable[[CheckedSample, bytes, bytes | None], None]


@dataclass
class _Reading:
    checked: CheckedSample | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


def check_tree(
    tree: Tree, labelling: Labelling, problems: Problems, warnings: Problems, keep: Keep | None = None
) -> dict[str, list[CheckedSample]]:
    """Check every sample; return those that could be read, by split, in the tree's order.

    Args:
        tree: what there is.
        labelling: what its labels are.
        problems: takes what training cannot continue with.
        warnings: takes what its owner should know.
        keep: is called in several threads, so that no file is read twice; not after a problem was found.
    """

    def read(chunk: list[Sample]) -> list[_Reading]:
        return [_read(sample, tree, labelling, None if problems else keep) for sample in chunk]

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
            labelling.check_split(split, checked[split], tree.names, problems, warnings)
    labelling.check_all(checked, problems, warnings)
    return checked


def _tell(reading: _Reading, problems: Problems, warnings: Problems) -> None:
    for kind, where in reading.problems:
        problems.add(kind, where)
    for kind, where in reading.warnings:
        warnings.add(kind, where)


def _read(sample: Sample, tree: Tree, labelling: Labelling, keep: Keep | None) -> _Reading:
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
    if text is not None and (labels := _parse(sample, text, tree, labelling, reading)):
        classes = labels.classes
        if labels.rewritten is not None:
            rows = labels.rewritten
            text = rows.encode()
        label_sha256 = hashlib.sha256(text).hexdigest()
    if file:
        content = trimmed(content, file.kept)
        image_sha256 = hashlib.sha256(content).hexdigest()
        reading.checked = CheckedSample(sample, image_sha256, label_sha256, file.size, classes, file.kept, rows)
        if keep and not reading.problems:
            keep(reading.checked, content, text)
    return reading


def _parse(sample: Sample, text: bytes, tree: Tree, labelling: Labelling, reading: _Reading) -> Labels | None:
    labels = labelling.parse(sample, text, tree)
    if labels is None:
        name = sample.label.name if sample.label else sample.key
        reading.problems.append(("malformed label rows", f"{name} is not text"))
        return None
    reading.problems += labels.problems
    reading.warnings += [(kind, sample.key) for kind in labels.warnings]
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
