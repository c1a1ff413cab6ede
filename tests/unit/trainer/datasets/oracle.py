"""What Ultralytics itself reads of a dataset: the boxes that a training would see. And with which words we refuse."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer import runtime
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset, Sample
from trainer.errors import InputError
from trainer.tasks.detect.labelling import BOXES

Boxes = dict[str, list[tuple[float, ...]]]  # by file name: class cx cy w h, sorted


@functools.cache
def start_ultralytics() -> tempfile.TemporaryDirectory[str]:
    """Set it up as the commands do; the folder of its settings is kept as long as the tests run."""
    folder = tempfile.TemporaryDirectory()
    runtime.start(Path(folder.name))
    return folder


def ultralytics_boxes(data_yaml: Path, split: str) -> Boxes:
    """The boxes of a split, by Ultralytics' own dataset; images that it drops are not in it."""
    start_ultralytics()
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(data_yaml), autodownload=False)
    read = YOLODataset(img_path=data[split], data=data, task="detect", augment=False, imgsz=64, cache=False)
    return {Path(label["im_file"]).name: _sorted(_rows(label)) for label in read.labels}


def untouched(root: Path, beside: str = "for-ultralytics") -> Path:
    """A second copy of a dataset, for Ultralytics to read: it writes into what it reads."""
    target = root.with_name(f"{root.name}-{beside}")
    shutil.copytree(root, target, symlinks=False)
    return target


def our_boxes(samples: Iterable[Sample], classes: int) -> Boxes:
    """The boxes that evaluation reads of the workspace's copy."""
    from trainer.tasks.detect.labels import parse_labels

    return {
        sample.image.name: _sorted(
            parse_labels(sample.label.read_text(encoding="utf-8") if sample.label else "", classes).boxes
        )
        for sample in samples
    }


def assert_same(found: Boxes, expected: Boxes) -> None:
    """The same images, with the same boxes up to the rounding of 32 bits."""
    assert sorted(found) == sorted(expected)
    for name, rows in expected.items():
        assert len(found[name]) == len(rows), f"{name}: {found[name]} and {rows}"
        for one, other in zip(found[name], rows, strict=True):
            np.testing.assert_allclose(one, other, atol=2e-6, err_msg=name)


def assert_trained_as_read(dataset: Dataset) -> None:
    """Ultralytics, which trains on the copy, and evaluation see the same boxes in every split."""
    for split, samples in dataset.splits.items():
        assert_same(our_boxes(samples, len(dataset.names)), ultralytics_boxes(dataset.data_yaml, split))


def _rows(label: dict[str, Any]) -> np.ndarray:
    return np.concatenate([label["cls"].reshape(-1, 1), label["bboxes"].reshape(-1, 4)], 1)


def _sorted(rows: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(tuple(round(float(value), 6) for value in row) for row in rows)


def refusal(place: Path | str, workspace: Path) -> str:
    """The message with which a dataset is refused; nothing of it may stay in the workspace."""
    with pytest.raises(InputError) as caught:
        materialise(str(place), workspace, BOXES)
    assert not list((workspace / "datasets").iterdir())
    assert caught.value.exit_status == 2, "no retry can help"
    assert "\n" not in str(caught.value)
    return str(caught.value)
