"""Makes the splits that a dataset does not have, out of its train split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable

from trainer.datasets.labelling import Labelling
from trainer.datasets.model import SPLITS, CheckedSample
from trainer.datasets.problems import Problems

SEED = 0  # fixed, and no option: the split is part of the dataset's digest
SHARE = 0.1  # of the train images, for each split that is made


def make_missing_splits(checked: dict[str, list[CheckedSample]], labelling: Labelling, problems: Problems) -> list[str]:
    """Move a tenth of train to each of val and test that is missing; return the names of those made.

    Which images are moved follows from their content alone, so it depends neither on file order nor on names, and
    equal images stay together. Changes ``checked``.
    """
    missing = [split for split in SPLITS if split not in checked]
    if not missing:
        return []
    strata: dict[Hashable, list[CheckedSample]] = defaultdict(list)
    for item in checked["train"]:
        strata[labelling.stratum(item)].append(item)
    parts: dict[str, list[CheckedSample]] = {split: [] for split in ("train", *missing)}
    for items in strata.values():
        if not _deal(items, missing, parts):
            where = f"{', '.join(missing)} from {len({item.image_sha256 for item in items})} in train"
            of = labelling.stratum(items[0])
            problems.add(
                "splits that cannot be made for want of images", where if of is None else f"{where} of class {of}"
            )
    if problems:
        return []
    for split, items in parts.items():
        checked[split] = sorted(items, key=lambda item: item.sample.key)
    return missing


def _deal(items: list[CheckedSample], missing: list[str], parts: dict[str, list[CheckedSample]]) -> bool:
    """Deal items out to ``parts``; False: there are too few of them."""
    groups: dict[str, list[CheckedSample]] = defaultdict(list)
    for item in items:
        groups[item.image_sha256].append(item)
    if len(groups) <= len(missing):
        return False
    ranked = sorted(groups, key=lambda sha: hashlib.sha256(f"{SEED}:{sha}".encode()).hexdigest())
    count = max(1, round(len(ranked) * SHARE))
    for split in missing:
        chosen, ranked = ranked[:count], ranked[count:]
        parts[split] += [item for sha in chosen for item in groups[sha]]
    parts["train"] += [item for sha in ranked for item in groups[sha]]
    return True
