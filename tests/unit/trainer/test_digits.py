"""The digits dataset: the same on every machine, and honest about what is held out."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from trainer.datasets.cache import materialise
from trainer.datasets.handwriting import split_sources
from trainer.errors import InputError
from trainer.tasks.detect.digits import COLUMNS, CROP, Recipe, make_digits
from trainer.tasks.detect.labelling import BOXES


def _content(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_recipe_makes_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("first", 5), ("second", 5), ("other", 6)):
        make_digits(Recipe(images=30, size=96, seed=seed), tmp_path / name)
    assert _content(tmp_path / "first") == _content(tmp_path / "second")
    assert _content(tmp_path / "first") != _content(tmp_path / "other")


def test_the_digest_is_the_one_that_other_machines_get(tmp_path: Path) -> None:
    # Recorded on one machine: a library that decodes, scales or compresses otherwise would show here.
    digest = materialise("digits?images=30&size=64&seed=1", tmp_path, BOXES).digest
    assert digest == "56dcb35d015c6c06ee777e28475522f2de8744b047f5495c5c23b27b8062e626"


def test_no_digit_image_is_in_two_splits() -> None:
    target = load_digits().target
    rows = split_sources(target, seed=0)
    assert sorted(np.concatenate(list(rows.values()))) == list(range(len(target)))
    for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert len(rows[split]) / len(target) == pytest.approx(share, abs=0.01)
        assert set(target[rows[split]]) == set(range(10))


def test_no_part_of_a_photo_is_in_two_splits() -> None:
    ends = [COLUMNS[split] for split in ("train", "val", "test")]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    assert all(last - first >= CROP[1] for first, last in ends), "the widest crop fits"


def test_scenes_have_several_digits_of_different_sizes_with_tight_boxes(tmp_path: Path) -> None:
    dataset = materialise("digits?images=60&size=160", tmp_path, BOXES)
    assert [len(samples) for samples in dataset.splits.values()] == [48, 6, 6]
    counts, heights = [], []
    for sample in dataset.splits["train"]:
        with Image.open(sample.image) as image:
            assert image.size == (160, 160)
        assert sample.label is not None
        boxes = np.loadtxt(sample.label, ndmin=2)
        counts.append(len(boxes))
        heights += list(boxes[:, 4])
        low, high = boxes[:, 1:3] - boxes[:, 3:5] / 2, boxes[:, 1:3] + boxes[:, 3:5] / 2
        assert low.min() >= -1e-6 and high.max() <= 1 + 1e-6
        for one in range(len(boxes)):
            for other in range(one):
                shared = np.minimum(high[one], high[other]) - np.maximum(low[one], low[other])
                assert (shared <= 1e-5).any(), "digits do not cover each other"
    assert max(counts) >= 5 and np.mean(counts) > 2
    assert min(heights) < 0.19 and max(heights) > 0.3


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("digits?pictures=10", "unknown setting 'pictures'"),
        ("digits?images=many", "images to 'many'; it must be a whole number from 20"),
        ("digits?size=5000", "from 64 to 1024"),
        ("digits?seed=-1", "seed to '-1'"),
    ],
)
def test_a_wrong_recipe_is_refused(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.parse(uri)
