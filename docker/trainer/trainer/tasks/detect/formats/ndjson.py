"""Boxes of Ultralytics' NDJSON.

Rows are those that Ultralytics' ``convert_ndjson_to_yolo`` writes: of the first kind of annotation that an image has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.datasets.folders import Folders
from trainer.datasets.model import Sample, Tree
from trainer.datasets.ndjson import read_listing
from trainer.datasets.problems import Problems
from trainer.tasks.detect.formats.names import require_distinct

TASKS = ("detect", "segment", "pose", "obb")  # of each a detector takes the boxes


def read_ndjson(folders: Folders, path: str, scratch: Path, problems: Problems) -> Tree:
    """List the samples of a file; see ``read_listing``."""
    listing = read_listing(folders, path, TASKS, scratch, problems)
    # Those that are missing in between are called class3, as Ultralytics does.
    names = [listing.names.get(number, f"class{number}") for number in range(max(listing.names) + 1)]
    require_distinct(names, path)
    splits = {
        split: [Sample(each.key, each.image, None, _rows(each.annotations), each.size) for each in found]
        for split, found in listing.splits.items()
    }
    return Tree(folders.root, names, splits, f"Ultralytics NDJSON ({path})", ours=listing.fetched)


def _rows(annotations: dict[str, Any] | None) -> str | None:
    """A label file's text; None where nobody has labelled the image."""
    if annotations is None:
        return None
    kind: str
    kind, rows = next(iter(annotations.items()), ("boxes", []))
    values = 5 if kind == "pose" else None  # behind the box of a pose are its keypoints
    # What is no list is told with its text, as any row that cannot be read.
    return "".join(
        (" ".join(map(str, row[:values])) if isinstance(row, list) else str(row)) + "\n"
        for row in (rows if isinstance(rows, list) else [rows] if rows else [])
    )
