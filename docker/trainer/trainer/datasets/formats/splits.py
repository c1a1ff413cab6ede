"""Which split a file or a folder is of, where its name is all that tells."""

from __future__ import annotations

import re

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_SEPARATOR = re.compile(r"[^a-z]+")


def split_of(name: str) -> str | None:
    """``instances_val2017`` is of val, ``valid`` too; None where the name tells of none, or of several."""
    found = {_WORDS[word] for word in _SEPARATOR.split(name.lower()) if word in _WORDS}
    return found.pop() if len(found) == 1 else None


def split_of_path(path: str) -> str | None:
    """The split that a path's file name tells, else the deepest of its folders that tells one."""
    return split_of(path.rpartition("/")[2].rpartition(".")[0]) or split_of_folders(path)


def split_of_folders(path: str) -> str | None:
    """The split that the deepest of a path's folders tells; an image's own name tells none."""
    return next((split for part in reversed(path.split("/")[:-1]) if (split := split_of(part))), None)


def by_folder(keys: list[str], base: str = "") -> dict[str, set[str]]:
    """Images below the folder ``base`` by the split that their folders tell; those of which none tells are of train."""
    found: dict[str, set[str]] = {}
    for key in keys:
        found.setdefault(split_of_folders(key.removeprefix(f"{base}/")) or "train", set()).add(key)
    return found
