"""What ``prepare`` tells about a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer.datasets.labelling import Labelling
from trainer.datasets.model import SPLITS, CheckedSample, Tree
from trainer.datasets.splits import SEED, SHARE


def summarise(
    uri: str,
    digest: str,
    tree: Tree,
    labelling: Labelling,
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
        "splits": {split: labelling.summarise(checked[split], tree.names) for split in SPLITS},
        "image_size": {
            "least": sizes.min(0).tolist(),
            "median": np.median(sizes, 0).astype(int).tolist(),
            "most": sizes.max(0).tolist(),
        },
        "splits_made": {"splits": made, "from": "train", "share_each": SHARE, "seed": SEED} if made else None,
        "warnings": warnings,
    }
