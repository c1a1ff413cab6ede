"""Each way in which a dataset can be broken is found, and its message names the file and what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from trainer.datasets.cache import materialise
from trainer.errors import InputError
from trainer.tasks.detect.labelling import BOXES

from conftest import ROW, MakeTree, write_image

Damage = Callable[[Path], object]


def _label(text: str) -> Damage:
    return lambda root: (root / "labels/train/1.txt").write_text(text)


def _yaml(old: str, new: str) -> Damage:
    def change(root: Path) -> None:
        file = root / "data.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def _truncate(root: Path) -> None:
    file = root / "images/train/1.png"
    file.write_bytes(file.read_bytes()[:200])


def _contradict(root: Path) -> None:
    shutil.copyfile(root / "images/train/1.png", root / "images/train/7.png")
    (root / "labels/train/7.txt").write_text("1 0.5 0.5 0.1 0.1\n")


def _empty_test(root: Path) -> None:
    for kind in ("images", "labels"):
        shutil.rmtree(root / kind / "test")
    (root / "images/test").mkdir()


def _one_image(root: Path) -> None:
    for number in range(1, 6):
        (root / f"images/train/{number}.png").unlink()
        (root / f"labels/train/{number}.txt").unlink()
    (root / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n")


BROKEN: dict[str, tuple[Damage, list[str]]] = {
    "unknown class": (_label("2 0.5 0.5 0.1 0.1\n"), ["labels of unknown class (1)", "images/train/1.png", "0 to 1"]),
    "class that is no whole number": (_label("0.5 0.5 0.5 0.1 0.1\n"), ["labels of unknown class", "class 0.5"]),
    "pixels for shares": (_label("0 300 200 40 40\n"), ["coordinates out of range (1)", "images/train/1.png: row 1"]),
    "negative coordinate": (_label("0 -0.2 0.5 0.1 0.1\n"), ["label coordinates out of range (1)"]),
    "box without width": (_label("0 0.5 0.5 0 0.1\n"), ["no width or no height"]),
    "too few values": (_label(ROW + "0 0.5 0.5\n"), ["malformed label rows (1)", "1.png: row 2 has 3 values"]),
    "words": (_label("cat 0.5 0.5 0.1 0.1\n"), ["malformed label rows (1)", "not numbers"]),
    "nan": (_label("0 nan 0.5 0.1 0.1\n"), ["malformed label rows (1)", "not finite"]),
    "bytes for text": (
        lambda root: (root / "labels/train/1.txt").write_bytes(b"\xff\xfe\x00"),
        ["malformed label rows", "is not text"],
    ),
    "empty file": (
        lambda root: (root / "images/train/1.png").write_bytes(b""),
        ["zero-byte images (1): images/train/1"],
    ),
    "no image": (
        lambda root: (root / "images/train/1.png").write_text("<html>404</html>"),
        ["unreadable images (1): images/train/1.png (not an image that is read but HTML)"],
    ),
    "half an image": (_truncate, ["unreadable images (1): images/train/1.png"]),
    "tiny image": (lambda root: write_image(root / "images/train/1.png", 99, (8, 8)), ["images/train/1.png (8×8)"]),
    "image that is gone": (
        lambda root: (root / "images/train/1.png").unlink(),
        ["missing images, of which only the label file is there (1): labels/train/1.txt"],
    ),
    "image in two splits": (
        lambda root: shutil.copyfile(root / "images/train/1.png", root / "images/test/7.png"),
        ["the same image in two splits (1)", "images/test/7.png [test] = images/train/1.png [train]"],
    ),
    "contradicting labels": (_contradict, ["the same image twice with different labels (1)"]),
    "split without images": (_empty_test, ["splits without images (1): test"]),
    "split that is not there": (_yaml("images/val", "images/nowhere"), ["do not exist (1): val: images/nowhere"]),
    "split elsewhere": (
        _yaml("images/val", "../../etc"),
        ["leave the dataset's folder (write them relative to data.yaml, such as images/train) (1): val: ../../etc"],
    ),
    "names missing": (_yaml("names:", "labels:"), ["data.yaml has no names"]),
    "a name twice": (_yaml("- dog", "- cat"), ["two classes one name", "'cat'"]),
    "nc that disagrees": (_yaml("names:", "nc: 3\nnames:"), ["nc: 3 but names 2 classes"]),
    "numbers with a hole": (_yaml("- cat\n- dog", "  0: cat\n  2: dog"), ["they must be 0 to 1"]),
    "no train": (_yaml("train: ", "training: "), ["names no train images"]),
    "no yaml": (lambda root: (root / "data.yaml").write_text("{"), ["data.yaml cannot be read"]),
    "no data.yaml": (lambda root: (root / "data.yaml").unlink(), ["the dataset has no data.yaml"]),
    "too few to split": (_one_image, ["splits that cannot be made for want of images (1): val, test from 1 in train"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_dataset_is_refused_with_its_files_named(case: str, make_tree: MakeTree, tmp_path: Path) -> None:
    damage, expected = BROKEN[case]
    root = make_tree()
    damage(root)
    with pytest.raises(InputError) as caught:
        materialise(str(root), tmp_path / "workspace", BOXES)
    for part in expected:
        assert part.lower() in str(caught.value).lower()
    assert not list((tmp_path / "workspace/datasets").iterdir()), "nothing half made may stay"


def test_the_first_ten_files_are_named_and_all_are_counted(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree(splits={"train": 14, "val": 2, "test": 2})
    for number in range(14):
        (root / f"labels/train/{number}.txt").write_text("5 0.5 0.5 0.1 0.1\n")
    with pytest.raises(InputError) as caught:
        materialise(str(root), tmp_path / "workspace", BOXES)
    message = str(caught.value)
    assert "Labels of unknown class (14)" in message
    assert message.count("images/train/") == 10
    assert "and 4 more" in message


def test_every_problem_is_told_at_once_in_one_paragraph(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "images/train/0.png").write_bytes(b"")
    (root / "labels/train/1.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    shutil.copyfile(root / "images/train/2.png", root / "images/val/9.png")
    with pytest.raises(InputError) as caught:
        materialise(str(root), tmp_path / "workspace", BOXES)
    message = str(caught.value)
    for part in (
        "Zero-byte images (1)",
        "Labels of unknown class (1)",
        "The same image in two splits (1)",
        "Mend these",
    ):
        assert part in message
    assert "\n" not in message


def test_an_image_that_is_listed_and_not_there_is_named(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "train.txt").write_text("images/train/0.png\nimages/train/lost.png\n")
    (root / "data.yaml").write_text("train: train.txt\nval: images/val\ntest: images/test\nnames: [cat, dog]\n")
    with pytest.raises(InputError, match=r"Missing images \(1\): images/train/lost\.png"):
        materialise(str(root), tmp_path / "workspace", BOXES)
