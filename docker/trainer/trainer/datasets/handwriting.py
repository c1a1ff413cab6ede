"""scikit-learn's handwritten digits (8 × 8 pixels, 1,797 of them), of which each task makes its dataset ``digits``."""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from trainer.errors import InputError

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def read_options(uri: str, task: str, limits: dict[str, tuple[int, int]]) -> dict[str, int]:
    """The settings in ``digits?…``, of those in ``limits`` (name to the least and the most).

    Raises:
        InputError: an unknown key, a value out of range, or another task than ``task``.
    """
    values: dict[str, int] = {}
    for key, text in parse_qsl(uri.partition("?")[2], keep_blank_values=True):
        if key == "task":
            if text != task:
                raise InputError(
                    f"The dataset {uri!r} is one for the task {text!r}, and this is a training of {task!r}. Give "
                    "`digits`, which is what the task needs, or the other --task."
                )
            continue
        if key not in limits:
            raise InputError(f"The dataset {uri!r} has an unknown setting {key!r}; digits knows {list(limits)}.")
        least, most = limits[key]
        if not text.isdigit() or not least <= int(text) <= most:
            raise InputError(
                f"The dataset {uri!r} sets {key} to {text!r}; it must be a whole number from {least} to {most}."
            )
        values[key] = int(text)
    return values


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digit images (n, 8, 8) of bytes and their values (n,), from scikit-learn's own file.

    Its loader gives the same; importing it takes longer than making hundreds of scenes.
    """
    with gzip.open(sklearn_datasets() / "data/digits.csv.gz", "rt", encoding="ascii") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint16)
    return (rows[:, :-1].reshape(-1, 8, 8) * 255 // 16).astype(np.uint8), rows[:, -1].astype(int)


def sklearn_datasets() -> Path:
    """The folder of the data that scikit-learn brings."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise RuntimeError("scikit-learn is not installed in this image.")
    return Path(spec.origin).parent / "datasets"


def split_sources(target: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Deal the digit images (n,) out to the splits, each value in the same shares; indices into ``target``."""
    rng = np.random.default_rng([seed, len(SHARES)])
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SHARES}
    for value in range(10):
        rows = rng.permutation(np.flatnonzero(target == value))
        ends = np.rint(np.cumsum(list(SHARES.values())) * len(rows)).astype(int)
        for split, part in zip(SHARES, np.split(rows, ends[:-1]), strict=True):
            parts[split].append(part)
    return {split: np.concatenate(found) for split, found in parts.items()}
