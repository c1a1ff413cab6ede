"""Reads YOLO label files: one object a row, ``class cx cy w h`` or ``class x1 y1 x2 y2 x3 y3 …`` (a polygon)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 0.01  # coordinates may leave 0–1 by this much, as Ultralytics allows for rounding


@dataclass
class ParsedLabels:
    """Boxes (n, 5) class cx cy w h, and what is wrong: (kind of problem, where in the file)."""

    boxes: np.ndarray
    problems: list[tuple[str, str]] = field(default_factory=list)
    duplicate_rows: int = 0


def parse_labels(text: str, classes: int) -> ParsedLabels:
    """Parse the text of a label file for a dataset of ``classes`` classes."""
    rows: list[tuple[float, ...]] = []
    problems: list[tuple[str, str]] = []
    kinds = set()
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        box = _parse_row(words, classes)
        if isinstance(box, tuple):
            kinds.add("box" if len(words) == 5 else "polygon")
            rows.append(box)
        else:
            kind, detail = box
            problems.append((kind, f"row {number} {detail}"))
    if len(kinds) > 1:
        problems.append(("malformed label rows", "boxes and polygons in one file, which Ultralytics refuses"))
    unique = list(dict.fromkeys(rows))
    boxes = np.array(unique, dtype=np.float64).reshape(-1, 5)
    return ParsedLabels(boxes, problems, duplicate_rows=len(rows) - len(unique))


def _parse_row(words: list[str], classes: int) -> tuple[float, ...] | list[str]:
    """A box as a tuple, or [kind of problem, detail]."""
    shown = " ".join(words[:6]) + (" …" if len(words) > 6 else "")
    if len(words) != 5 and (len(words) < 7 or len(words) % 2 == 0):
        return ["malformed label rows", f"has {len(words)} values ({shown!r}), not 5, nor 7 or more of a polygon"]
    try:
        values = [float(word) for word in words]
    except ValueError:
        return ["malformed label rows", f"is not numbers ({shown!r})"]
    if not np.isfinite(values).all():
        return ["malformed label rows", f"is not finite ({shown!r})"]
    if values[0] != int(values[0]) or values[0] < 0 or values[0] >= classes:
        return ["labels of unknown class", f"has class {words[0]}, data.yaml names 0 to {classes - 1}"]
    coordinates = np.array(values[1:])
    if coordinates.min() < -TOLERANCE or coordinates.max() > 1 + TOLERANCE:
        return ["label coordinates out of range", f"has a coordinate outside of 0–1 ({shown!r}): pixels, not shares?"]
    if len(values) > 5:
        low, high = coordinates.reshape(-1, 2).min(0), coordinates.reshape(-1, 2).max(0)
        coordinates = np.concatenate([(low + high) / 2, high - low])
    if coordinates[2] <= 0 or coordinates[3] <= 0:
        return ["label coordinates out of range", f"has no width or no height ({shown!r})"]
    return (values[0], *(float(value) for value in coordinates))
