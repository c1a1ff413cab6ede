"""The formats that datasets come in: each module reads one, as the tools that export it lay it out.

``read`` recognises which one a folder is; nothing has to be converted by hand.
"""

from __future__ import annotations

import os
from pathlib import Path

from trainer.datasets.folders import Folders
from trainer.datasets.model import Tree
from trainer.datasets.ndjson import SUFFIX, find_ndjson
from trainer.datasets.problems import Problems
from trainer.errors import InputError
from trainer.tasks.detect.formats.coco import find_coco, read_coco
from trainer.tasks.detect.formats.ndjson import read_ndjson
from trainer.tasks.detect.formats.others import refuse_classes, refuse_others
from trainer.tasks.detect.formats.plain import find_names, read_plain
from trainer.tasks.detect.formats.voc import find_voc, read_voc
from trainer.tasks.detect.formats.yolo import find_data_yaml, read_yolo

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")


def read(place: Path, scratch: Path, problems: Problems, warnings: Problems, *, confined: bool) -> Tree:
    """Recognise the format of a dataset and list its samples.

    Args:
        place: its folder, its data.yaml, or a COCO or NDJSON file in it.
        scratch: a folder for images that have to be fetched.
        problems: takes what is wrong with single files and splits.
        warnings: takes what the owner should know.
        confined: whether nothing outside of the folder may be named (what was downloaded must not read local files).

    Raises:
        InputError: it is of no format that is read, or its description is wrong.
    """
    if place.is_file() and place.suffix.lower() not in (".json", SUFFIX):
        return read_yolo(place, problems, warnings, confined=confined)
    folder = place if place.is_dir() else place.parent
    if place.is_dir() and (data_yaml := find_data_yaml(folder)):
        return read_yolo(data_yaml, problems, warnings, confined=confined)
    folders = Folders(Path(os.path.normpath(folder.absolute())), problems)
    files = [place.name] if place.is_file() else folders.below("")
    if annotations := find_coco(folders.root, files):
        return read_coco(folders, annotations, problems, warnings)
    listed = place.name if place.suffix.lower() == SUFFIX and place.is_file() else find_ndjson(folders.root, files)
    if listed:
        return read_ndjson(folders, listed, scratch, problems)
    if annotations := find_voc(folders.root, files):
        return read_voc(folders, annotations, problems, warnings)
    if names := find_names(files):
        return read_plain(folders, names, problems)
    refuse_others(folders.root, files)
    if inner := [path for path in files if path.lower().endswith(ARCHIVES)]:
        raise InputError(
            f"The dataset has no labels that are read, but an archive: {', '.join(inner[:3])}. Give that one, or "
            "unpack it first."
        )
    refuse_classes(files)
    raise InputError(
        "The dataset has no data.yaml, and is of none of the other formats that are read: COCO JSON, Pascal VOC XML, "
        "YOLO with classes.txt or obj.names. Export it in one of them; best is an Ultralytics tree: data.yaml with "
        "names, train, val and test, beside images/ and labels/."
    )
