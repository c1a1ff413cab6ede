"""Rows of label files beyond boxes: polygons, both in one file, keypoints. Ultralytics' boxes, or a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import assert_same, assert_trained_as_read, our_boxes, refusal, ultralytics_boxes, untouched
from trainer.datasets.cache import materialise
from trainer.tasks.detect.labelling import BOXES

from conftest import MakeTree

BOX = "0 0.5 0.5 0.25 0.25"
TRIANGLE = "1 0.1 0.1 0.3 0.15 0.2 0.4"
POSE = "1 0.4 0.6 0.2 0.1 0.41 0.61 0 0 0.9 0.1 0.5 0.5"

LABELS = {
    "polygons": f"{TRIANGLE}\n0 0.5 0.5 0.9 0.5 0.9 0.8 0.5 0.8\n",
    "oriented boxes": "1 0.2 0.2 0.4 0.3 0.3 0.5 0.1 0.4\n",
    "byte-order mark": "\ufeff" + BOX + "\n",
    "windows lines": f"{BOX}\r\n\r\n1 0.2 0.2 0.1 0.1\r\n",
    "twice": f"{BOX}\n{BOX}\n1 0.25 0.25 0.1 0.1\n",
    "over the edge": "0 1.005 0.5 0.01 0.25\n0 -0.005 0.5 0.02 0.1\n",
    "exponents": "0 5e-1 .5 2.5E-1 0.25\n",
    "empty": "",
}


@pytest.mark.parametrize("case", LABELS)
def test_the_same_boxes_as_ultralytics(case: str, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "labels/train/0.txt").write_text(LABELS[case], encoding="utf-8")
    expected = ultralytics_boxes(untouched(root) / "data.yaml", "train")
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert_same(our_boxes(dataset.splits["train"], 2), expected)
    assert_trained_as_read(dataset)


def test_poses_are_trained_by_their_boxes(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "data.yaml").write_text((root / "data.yaml").read_text() + "kpt_shape: [4, 2]\n")
    (root / "labels/train/0.txt").write_text(f"{POSE}\n{BOX}\n")
    (root / "labels/val/0.txt").write_text(f"{POSE}\n")
    twin = untouched(root) / "data.yaml"
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    for split in ("train", "val"):
        assert_same(our_boxes(dataset.splits[split], 2), ultralytics_boxes(twin, split))
    assert (1, 0.4, 0.6, 0.2, 0.1) in our_boxes(dataset.splits["train"], 2)["0.png"]
    assert_trained_as_read(dataset)


def test_boxes_and_polygons_in_one_file_are_taken_with_a_warning(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "labels/train/0.txt").write_text(f"{BOX}\n{TRIANGLE}\n")
    assert "0.png" not in ultralytics_boxes(untouched(root) / "data.yaml", "train"), "Ultralytics drops the image"
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    found = our_boxes(dataset.splits["train"], 2)["0.png"]
    assert_same({"0.png": found}, {"0.png": [(0, 0.5, 0.5, 0.25, 0.25), (1, 0.2, 0.25, 0.2, 0.3)]})
    warnings = dataset.summary["warnings"]
    assert any("boxes and polygons" in warning and "images/train/0.png" in warning for warning in warnings)
    assert_trained_as_read(dataset)


REFUSED = {
    "confidence": ("0 0.5 0.5 0.2 0.2 0.9\n", "has 6 values"),
    "half a point": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n", "has 8 values"),
    "pixels": ("0 320 240 100 100\n", "pixels, not shares"),
    "negative": ("0 0.5 0.5 -0.2 0.2\n", "coordinate outside"),
    "class": ("2 0.5 0.5 0.2 0.2\n", "has class 2, the classes are 0 to 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_ultralytics_drops_without_a_word_is_refused_by_name(
    case: str, make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree()
    text, reason = REFUSED[case]
    (root / "labels/train/0.txt").write_text(text)
    assert "0.png" not in ultralytics_boxes(untouched(root) / "data.yaml", "train")
    message = refusal(root, tmp_path / "workspace")
    assert reason in message and "images/train/0.png: row 1" in message
