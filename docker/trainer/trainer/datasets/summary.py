"""What ``prepare`` tells about a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.datasets.model import SPLITS, CheckedSample
from trainer.datasets.splits import SEED, SHARE


def summarise(
    uri: str,
    digest: str,
    names: list[str],
    checked: dict[str, list[CheckedSample]],
    made: list[str],
    warnings: list[str],
) -> dict[str, Any]:
    """The content of summary.json: counts by split and class, sizes in pixels, and how missing splits were made."""
    sizes = np.array([item.size for items in checked.values() for item in items])
    return {
        "dataset": uri,
        "digest": digest,
        "class_names": names,
        "splits": {split: _summarise_split(checked[split], names) for split in SPLITS},
        "image_size": {
            "least": sizes.min(0).tolist(),
            "median": np.median(sizes, 0).astype(int).tolist(),
            "most": sizes.max(0).tolist(),
        },
        "splits_made": {"splits": made, "from": "train", "share_each": SHARE, "seed": SEED} if made else None,
        "warnings": warnings,
    }


def _summarise_split(items: list[CheckedSample], names: list[str]) -> dict[str, Any]:
    classes = np.concatenate([item.boxes[:, 0] for item in items] or [np.zeros(0)]).astype(int)
    counts = np.bincount(classes, minlength=len(names)).tolist()
    return {
        "images": len(items),
        "boxes": len(classes),
        "background_images": sum(not len(item.boxes) for item in items),
        "images_without_label_file": sum(item.sample.label is None for item in items),
        "boxes_by_class": dict(zip(names, counts, strict=True)),
    }
