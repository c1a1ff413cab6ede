"""What ``prepare`` tells about a dataset."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from trainer.datasets.model import SPLITS, CheckedSample, Tree
from trainer.datasets.splits import SEED, SHARE


def summarise(
    uri: str,
    digest: str,
    tree: Tree,
    checked: dict[str, list[CheckedSample]],
    made: list[str],
    warnings: list[str],
) -> dict[str, Any]:
    """The content of summary.json: counts by split and class, sizes in pixels, and how missing splits were made."""
    sizes = np.array([item.size for items in checked.values() for item in items])
    return {
        "dataset": uri,
        "digest": digest,
        "format": tree.format,
        "class_names": tree.names,
        "splits": {split: _summarise_split(checked[split], tree.names) for split in SPLITS},
        "image_size": {
            "least": sizes.min(0).tolist(),
            "median": np.median(sizes, 0).astype(int).tolist(),
            "most": sizes.max(0).tolist(),
        },
        "splits_made": {"splits": made, "from": "train", "share_each": SHARE, "seed": SEED} if made else None,
        "warnings": warnings,
    }


def _summarise_split(items: list[CheckedSample], names: list[str]) -> dict[str, Any]:
    counts = Counter(number for item in items for number in item.classes)
    return {
        "images": len(items),
        "boxes": counts.total(),
        "background_images": sum(not item.classes for item in items),
        "images_without_label_file": sum(not item.sample.labelled for item in items),
        "boxes_by_class": {name: counts[number] for number, name in enumerate(names)},
    }
