"""Makes the splits that a dataset does not have, out of its train split."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from trainer.datasets.model import SPLITS, CheckedSample
from trainer.datasets.problems import Problems

SEED = 0  # fixed, and no option: the split is part of the dataset's digest
SHARE = 0.1  # of the train images, for each split that is made


def make_missing_splits(checked: dict[str, list[CheckedSample]], problems: Problems) -> list[str]:
    """Move a tenth of train to each of val and test that is missing; return the names of those made.

    Which images are moved follows from their content alone, so it depends neither on file order nor on names, and
    equal images stay together. Changes ``checked``.
    """
    missing = [split for split in SPLITS if split not in checked]
    if not missing:
        return []
    groups: dict[str, list[CheckedSample]] = defaultdict(list)
    for item in checked["train"]:
        groups[item.image_sha256].append(item)
    if len(groups) <= len(missing):
        problems.add(
            "splits that cannot be made for want of images", f"{', '.join(missing)} from {len(groups)} in train"
        )
        return []
    ranked = sorted(groups, key=lambda sha: hashlib.sha256(f"{SEED}:{sha}".encode()).hexdigest())
    count = max(1, round(len(ranked) * SHARE))
    for split in missing:
        chosen, ranked = ranked[:count], ranked[count:]
        checked[split] = sorted((item for sha in chosen for item in groups[sha]), key=lambda item: item.sample.key)
    checked["train"] = sorted((item for sha in ranked for item in groups[sha]), key=lambda item: item.sample.key)
    return missing
