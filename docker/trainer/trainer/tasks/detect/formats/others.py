"""Formats that are recognised only to say that they are not read, and what to export instead."""

from __future__ import annotations

from pathlib import Path

from trainer.datasets.folders import is_image
from trainer.datasets.split_names import split_of
from trainer.errors import InputError

# What is near the beginning of a file of the kind, in lower case; all of the words must be there.
MARKS: tuple[tuple[str, str, tuple[bytes, ...]], ...] = (
    (".xml", "CVAT's own XML", (b"<annotations>", b"<meta>")),
    (".xml", "CVAT's own XML", (b"<annotations>", b"<image ")),
    (".xml", "LabelMe's XML", (b"<annotation>", b"<sourceannotation>")),
    (".json", "Label Studio's own JSON", (b'"annotations"', b'"result"')),
    (".json", "Label Studio's own JSON (JSON_MIN)", (b'"original_width"',)),
    (".json", "Labelme's JSON", (b'"shapes"', b'"imagepath"')),
    (".json", "CreateML's JSON", (b'"image"', b'"coordinates"')),
    (".json", "Datumaro's own JSON", (b'"dm_format_version"',)),
    (".json", "VGG Image Annotator's JSON", (b'"regions"', b'"shape_attributes"')),
    (".jsonl", "Hugging Face's imagefolder (metadata.jsonl)", (b'"file_name"', b'"bbox"')),
    (".csv", "a table (CSV)", (b"xmin", b"xmax")),
    (".csv", "Label Studio's own table (CSV)", (b"annotation_id", b"original_width")),
    (".tfrecord", "TensorFlow records", ()),
)
SNIFFED = 1 << 16


def refuse_others(root: Path, files: list[str]) -> None:
    """Raise InputError where a file is of a format that is known and not read."""
    for path in files:
        for suffix, name, marks in MARKS:
            if path.lower().endswith(suffix):
                with (root / path).open("rb") as content:
                    start = content.read(SNIFFED).lower()
                if all(mark in start for mark in marks):
                    raise InputError(
                        f"The dataset is {name} ({path}), which is not read. Export it from that tool as YOLO, COCO or "
                        "Pascal VOC, with its images."
                    )


def refuse_classes(files: list[str]) -> None:
    """Raise InputError where the images lie in folders of classes: a classifier's dataset."""
    inside = sorted({path.rpartition("/")[0] for path in files if is_image(path)})
    beside: dict[str, list[str]] = {}
    for folder in inside:
        parent, _, name = folder.rpartition("/")
        if name and split_of(name) is None:
            beside.setdefault(parent, []).append(folder)
    for classes in beside.values():
        if len(classes) > 1:
            raise InputError(
                f"The dataset has no boxes, and a folder for each class, such as {' and '.join(classes[:2])}: a "
                "classifier can be trained on it (`task: classify` in the pipeline's file), and no detector. For a "
                "detector, draw boxes and export them as YOLO, COCO or Pascal VOC, with the images."
            )
