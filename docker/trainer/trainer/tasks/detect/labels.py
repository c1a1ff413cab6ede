"""Reads YOLO label files: one object a row.

``class cx cy w h``, ``class x1 y1 x2 y2 x3 y3 …`` (a polygon), or ``class cx cy w h`` and keypoints (a pose).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 0.01  # coordinates may leave 0–1 by this much, as Ultralytics allows for rounding

Row = tuple[float, ...]  # class cx cy w h


@dataclass
class ParsedLabels:
    """What a label file says.

    Attributes:
        rows: class cx cy w h of each object, each once.
        problems: (kind of problem, where in the file).
        duplicate_rows: how many rows were there already.
        mixed: boxes and polygons in one file; Ultralytics drops the image of such a file.
        poses: rows have keypoints behind the box.
    """

    rows: list[Row]
    problems: list[tuple[str, str]] = field(default_factory=list)
    duplicate_rows: int = 0
    mixed: bool = False
    poses: bool = False

    @property
    def boxes(self) -> np.ndarray:
        """Boxes (n, 5) class cx cy w h."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, 5)

    def text(self) -> str:
        """The same boxes as a label file that every reader of YOLO takes."""
        return "".join(format_row(int(row[0]), row[1:]) for row in self.rows)


def format_row(number: int, box: Row) -> str:
    """A row of a label file, of a class and its box cx cy w h."""
    return f"{number} " + " ".join(f"{value:.9g}" for value in box) + "\n"


def parse_labels(text: str, classes: int, keypoint_values: int = 0) -> ParsedLabels:
    """Parse the text of a label file for a dataset of ``classes`` classes.

    Args:
        text: the file's content.
        classes: how many there are.
        keypoint_values: numbers behind the box in a row of a pose, as data.yaml's ``kpt_shape`` says.
    """
    rows: list[Row] = []
    problems: list[tuple[str, str]] = []
    kinds = set()
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        kind = _kind(len(words), keypoint_values)
        box = _parse_row(words, classes, kind)
        if isinstance(box, tuple):
            kinds.add(kind)
            rows.append(box)
        else:
            problems.append((box[0], f"row {number} {box[1]}"))
    unique = list(dict.fromkeys(rows))
    return ParsedLabels(
        unique,
        problems,
        duplicate_rows=len(rows) - len(unique),
        mixed="polygon" in kinds and len(kinds) > 1,
        poses="pose" in kinds,
    )


def _kind(words: int, keypoint_values: int) -> str:
    if words == 5:
        return "box"
    if keypoint_values and words == 5 + keypoint_values:
        return "pose"
    return "polygon" if words >= 7 and words % 2 else ""


def _parse_row(words: list[str], classes: int, kind: str) -> Row | list[str]:
    """A box as a tuple, or [kind of problem, detail]."""
    if not kind:
        detail = f"has {len(words)} values ({_shown(words)!r}), not 5, nor 7 or more of a polygon"
        return ["malformed label rows", detail]
    try:
        values = [float(word) for word in words]
    except ValueError:
        return ["malformed label rows", f"is not numbers ({_shown(words)!r})"]
    if not all(map(math.isfinite, values)):
        return ["malformed label rows", f"is not finite ({_shown(words)!r})"]
    number, coordinates = values[0], values[1:5] if kind == "pose" else values[1:]
    if number != int(number) or number < 0 or number >= classes:
        return ["labels of unknown class", f"has class {words[0]}, the classes are 0 to {classes - 1}"]
    if min(coordinates) < -TOLERANCE or max(coordinates) > 1 + TOLERANCE:
        detail = f"has a coordinate outside of 0–1 ({_shown(words)!r}): pixels, not shares?"
        return ["label coordinates out of range", detail]
    if kind == "polygon":
        coordinates = _bounds(coordinates)
    if coordinates[2] <= 0 or coordinates[3] <= 0:
        return ["label coordinates out of range", f"has no width or no height ({_shown(words)!r})"]
    return (number, *coordinates)


def _shown(words: list[str]) -> str:
    return " ".join(words[:6]) + (" …" if len(words) > 6 else "")


def _bounds(polygon: list[float]) -> list[float]:
    """cx cy w h of a polygon x1 y1 x2 y2 …"""
    xs, ys = polygon[0::2], polygon[1::2]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
