"""Datasets of classifiers: folders of images, MNIST's IDX files, scikit-learn's digits; and what is refused."""

from __future__ import annotations

import gzip
import shutil
import struct
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trainer import runtime
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.errors import InputError
from trainer.pictures import read_rgb
from trainer.tasks.classify.labelling import CLASSES
from trainer.tasks.detect.labelling import BOXES

from conftest import write_image

Make = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Make:
    """Makes ``<split>/<class>/<n>.png`` of noise; "" is no split's folder."""

    def make(counts: dict[str, dict[str, int]] | None = None, name: str = "tree") -> Path:
        root, seed = tmp_path / name, 0
        for split, classes in (counts or {"train": {"cat": 4, "dog": 5}, "val": {"cat": 2, "dog": 1}}).items():
            for kind, count in classes.items():
                (root / split / kind).mkdir(parents=True, exist_ok=True)
                for number in range(count):
                    write_image(root / split / kind / f"{number}.png", seed)
                    seed += 1
        return root

    return make


def _classes(dataset: Dataset, split: str) -> Counter[str]:
    return Counter(dataset.names[int(sample.rows or "")] for sample in dataset.splits[split])


def _refusal(root: Path | str, tmp_path: Path) -> str:
    with pytest.raises(InputError) as caught:
        materialise(str(root), tmp_path / "workspace", CLASSES)
    return str(caught.value)


def test_a_folder_a_class_in_a_folder_a_split_is_read_and_a_test_split_made(tree: Make, tmp_path: Path) -> None:
    dataset = materialise(str(tree()), tmp_path / "workspace", CLASSES)
    assert dataset.names == ["cat", "dog"]
    assert _classes(dataset, "val") == {"cat": 2, "dog": 1}
    assert _classes(dataset, "test") == {"cat": 1, "dog": 1}, "a tenth of each class, and at least one"
    assert _classes(dataset, "train") == {"cat": 3, "dog": 4}
    assert dataset.summary["splits"]["train"]["images_by_class"] == {"cat": 3, "dog": 4}
    assert dataset.summary["splits_made"]["splits"] == ["test"]


def test_the_copy_is_what_torchvision_reads(tree: Make, tmp_path: Path) -> None:
    runtime.register_nms()
    from torchvision.datasets import ImageFolder

    dataset = materialise(str(tree()), tmp_path / "workspace", CLASSES)
    for split, samples in dataset.splits.items():
        found = ImageFolder(str(dataset.root / split), allow_empty=True).samples
        assert {(path, number) for path, number in found} == {
            (str(sample.image), int(sample.rows or "")) for sample in samples
        }


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_folders_of_classes_alone_are_split_the_same_way_in_every_form(tree: Make, tmp_path: Path, form: str) -> None:
    root = tree({"": {"cat": 20, "dog": 30}})
    expected = materialise(str(root), tmp_path / "one", CLASSES)
    assert _classes(expected, "test") == _classes(expected, "val") == {"cat": 2, "dog": 3}
    place = root
    if form != "folder":
        place = Path(shutil.make_archive(str(tmp_path / "packed"), form, tmp_path, root.name))
    again = materialise(str(place), tmp_path / "two", CLASSES)
    # An archive has a folder around the classes, which is part of the images' paths.
    assert {split: _classes(again, split) for split in again.splits} == {
        split: _classes(expected, split) for split in expected.splits
    }
    assert {path.read_bytes() for path in (sample.image for sample in again.splits["test"])} == {
        path.read_bytes() for path in (sample.image for sample in expected.splits["test"])
    }


def test_the_workspaces_copy_is_used_again_and_made_again_where_it_is_damaged(tree: Make, tmp_path: Path) -> None:
    root = tree()
    dataset = materialise(str(root), tmp_path / "workspace", CLASSES)
    assert materialise("/nowhere", tmp_path / "workspace", CLASSES, expected=dataset.digest) == dataset
    dataset.splits["train"][0].image.write_bytes(b"damaged")
    assert materialise(str(root), tmp_path / "workspace", CLASSES, expected=dataset.digest) == dataset
    assert read_rgb(dataset.splits["train"][0].image).shape == (24, 32, 3)


def test_the_class_is_part_of_the_digest(tree: Make, tmp_path: Path) -> None:
    root = tree({"": {"cat": 20, "dog": 20}})
    before = materialise(str(root), tmp_path / "workspace", CLASSES).digest
    (root / "cat").rename(root / "cow")
    assert materialise(str(root), tmp_path / "workspace", CLASSES).digest != before


def test_names_of_any_alphabet_spaces_and_nested_folders_are_kept(tree: Make, tmp_path: Path) -> None:
    names = ["Überholverbot", "猫", "two words", "100%"]
    root = tree({"": dict.fromkeys(names, 12)})
    for name in names:
        (root / name / "more/deep").mkdir(parents=True)
        (root / name / "0.png").rename(root / name / "more/deep/0.png")
    dataset = materialise(str(root), tmp_path / "workspace", CLASSES)
    assert dataset.names == sorted(names)
    assert sum(sum(_classes(dataset, split).values()) for split in dataset.splits) == 48


def test_what_is_no_image_is_left_out_and_told(tree: Make, tmp_path: Path) -> None:
    root = tree({"": {"cat": 12, "dog": 12}})
    (root / "cat/notes.txt").write_text("of cats")
    (root / "cat/.DS_Store").write_bytes(b"0")
    (root / "README.md").write_text("cats and dogs")
    dataset = materialise(str(root), tmp_path / "workspace", CLASSES)
    assert [warning for warning in dataset.summary["warnings"] if "no images and are left out (1)" in warning]
    assert "cat/notes.txt" in str(dataset.summary["warnings"]) and "DS_Store" not in str(dataset.summary["warnings"])


def _empty_class(root: Path) -> None:
    (root / "train/cow").mkdir()


def _foreign_class(root: Path) -> None:
    write_image(root / "val/cow/0.png", 900)


def _loose_image(root: Path) -> None:
    write_image(root / "train/0.png", 900)


def _damaged(root: Path) -> None:
    (root / "train/cat/0.png").write_bytes((root / "train/cat/0.png").read_bytes()[:60])


def _page(root: Path) -> None:
    (root / "train/cat/0.png").write_text("<html>not found</html>")


def _same_in_two_classes(root: Path) -> None:
    shutil.copy(root / "train/cat/0.png", root / "train/dog/cat.png")


def _two_trains(root: Path) -> None:
    shutil.copytree(root / "train", root / "Training")


def _beside(root: Path) -> None:
    write_image(root / "birds/0.png", 900)


def _no_val_images(root: Path) -> None:
    shutil.rmtree(root / "val")
    (root / "val/cat").mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_empty_class, r"Classes without an image in train \(1\): train/cow"),
        (_foreign_class, r"Classes that train does not have \(1\): val/cow"),
        (_loose_image, r"Images in no folder of a class \(1\): train/0\.png"),
        (_damaged, r"Unreadable images \(1\): train/cat/0\.png"),
        (_page, r"Unreadable images \(1\): train/cat/0\.png \(not an image that is read but HTML\)"),
        (_same_in_two_classes, r"The same image in two classes \(1\): train/cat/0\.png = train/dog/cat\.png"),
        (_two_trains, r"Splits that two folders are named after \(1\): train \(Training and train\)"),
        (_beside, r"Folders with images beside train that are named after no split \(1\): birds"),
        (_no_val_images, r"Splits without an image \(1\): val"),
    ],
)
def test_what_cannot_be_trained_on_is_named(
    tree: Make, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    root = tree()
    spoil(root)
    with pytest.raises(InputError, match=said):
        materialise(str(root), tmp_path / "workspace", CLASSES)


def test_a_class_whose_folders_are_written_in_two_ways_is_one_class(tree: Make, tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    dataset = materialise(str(tree({"train": {apart: 4, "Bar": 3}, "val": {composed: 2, "Bar": 1}})), tmp_path, CLASSES)
    assert dataset.names == ["Bar", composed]
    assert _classes(dataset, "val") == {"Bar": 1, composed: 2}
    assert sum((_classes(dataset, split) for split in ("train", "test")), Counter()) == {"Bar": 3, composed: 4}


def test_names_that_look_the_same_are_refused(tree: Make, tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    assert "Classes whose names look the same (1)" in _refusal(tree({"": {composed: 3, apart: 3}}), tmp_path)
    counts = {"train": {composed: 3, "dog": 3}, "val": {composed: 1, apart: 1, "dog": 1}}
    assert "Classes whose names look the same (1)" in _refusal(tree(counts, "val"), tmp_path)


def test_one_class_none_and_too_few_images_are_refused(tree: Make, tmp_path: Path) -> None:
    assert "one class alone (cat)" in _refusal(tree({"train": {"cat": 9}}), tmp_path)
    (tmp_path / "empty").mkdir()
    assert "no folder of images for each class" in _refusal(tmp_path / "empty", tmp_path)
    said = _refusal(tree({"": {"cat": 9, "dog": 2}}, "few"), tmp_path)
    assert "Splits that cannot be made for want of images (1): val, test from 2 in train of class 1" in said


def _to_detect(root: Path) -> str:
    (root / "train" / "labels").mkdir()
    (root / "train" / "cat").rename(root / "train" / "images")
    return "it has the folder train/labels: a detector"


def _labelled_beside(root: Path) -> str:
    for image in (root / "train").rglob("*.png"):
        image.with_suffix(".txt").write_text("0 0.5 0.5 0.2 0.2")
    return "it has label files beside 9 of 9 images: a detector"


@pytest.mark.parametrize("change", [_to_detect, _labelled_beside])
def test_a_dataset_of_boxes_is_for_a_detector(change: Callable[[Path], str], tree: Make, tmp_path: Path) -> None:
    root = tree()
    expected = change(root)
    assert expected in _refusal(root, tmp_path)


def test_a_class_may_be_named_labels_and_have_captions(tree: Make, tmp_path: Path) -> None:
    root = tree({"train": {"labels": 4, "stamps": 5}, "val": {"labels": 1, "stamps": 1}})
    for image in (root / "train").rglob("*.png"):
        image.with_suffix(".txt").write_text("a caption of this picture")
    assert materialise(str(root), tmp_path / "workspace", CLASSES).names == ["labels", "stamps"]


def test_folders_of_classes_are_for_a_classifier(tree: Make, tmp_path: Path) -> None:
    for name, counts in (("splits", None), ("flat", {"": {"cat": 2, "dog": 2}})):
        with pytest.raises(InputError, match=r"such as (train/)?cat and (train/)?dog: a classifier can be trained"):
            materialise(str(tree(counts, name)), tmp_path / "workspace", BOXES)


def test_a_split_that_lacks_a_class_is_told_of(tree: Make, tmp_path: Path) -> None:
    root = tree({"train": {"cat": 12, "dog": 12}, "val": {"cat": 2}, "test": {"cat": 2, "dog": 1}})
    dataset = materialise(str(root), tmp_path / "workspace", CLASSES)
    assert any("of which a split has no image" in told and "dog (val)" in told for told in dataset.summary["warnings"])
    assert dataset.summary["splits"]["val"]["images_by_class"] == {"cat": 2, "dog": 0}


def test_images_of_train_that_are_held_out_too_are_left_out_of_train(tree: Make, tmp_path: Path) -> None:
    root = tree({"train": {"cat": 12, "dog": 12}, "val": {"cat": 2, "dog": 2}, "test": {"cat": 2, "dog": 2}})
    shutil.copy(root / "test/cat/0.png", root / "train/cat/copy.png")
    dataset = materialise(str(root), tmp_path / "workspace", CLASSES)
    assert _classes(dataset, "train") == {"cat": 12, "dog": 12}
    assert any("left out of train (1): train/cat/copy.png" in told for told in dataset.summary["warnings"])
    for number in range(12):
        (root / f"train/cat/{number}.png").unlink()
    said = _refusal(root, tmp_path)
    assert "Classes all of whose images in train are in val or test too (1): train/cat" in said


def _idx(*shape: int, values: bytes | None = None, kind: int = 8) -> bytes:
    """A file as http://yann.lecun.com/exdb/mnist/ describes it, written with struct alone."""
    content = np.random.default_rng(shape[0]).integers(0, 256, shape, dtype=np.uint8).tobytes()
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + (content if values is None else values)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's four files with fewer images: 60 to train on and 20 to test, those of the test gzipped."""
    root = tmp_path / "mnist"
    root.mkdir()
    for name, count, pack in (("train", 60, bytes), ("t10k", 20, gzip.compress)):
        suffix = "" if pack is bytes else ".gz"
        labels = bytes(number % 4 for number in range(count))
        (root / f"{name}-images-idx3-ubyte{suffix}").write_bytes(pack(_idx(count, 28, 28)))
        (root / f"{name}-labels-idx1-ubyte{suffix}").write_bytes(pack(_idx(count, values=labels)))
    return root


def test_mnists_files_are_read_as_torchvision_reads_them(mnist: Path, tmp_path: Path) -> None:
    runtime.register_nms()
    from torchvision.datasets.mnist import read_image_file, read_label_file

    dataset = materialise(str(mnist), tmp_path / "workspace", CLASSES)
    assert dataset.names == ["0", "1", "2", "3"]
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 52, "val": 8, "test": 20}
    raw = tmp_path / "raw"
    for name in ("images-idx3", "labels-idx1"):
        with gzip.open(mnist / f"t10k-{name}-ubyte.gz") as packed:
            (tmp_path / f"raw-{name}").write_bytes(packed.read())
    images, labels = read_image_file(f"{raw}-images-idx3").numpy(), read_label_file(f"{raw}-labels-idx1").numpy()
    ours = {int(Path(sample.key).stem): sample for sample in dataset.splits["test"]}
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        assert int(ours[number].rows or "") == label
        np.testing.assert_array_equal(read_rgb(ours[number].image)[..., 0], image)


def test_mnists_files_may_be_in_an_archive_with_dots_and_names(mnist: Path, tmp_path: Path) -> None:
    (mnist / "classes.txt").write_text("T-shirt\nTrouser\nPullover\nDress\nCoat\n")
    with zipfile.ZipFile(tmp_path / "mnist.zip", "w") as archive:
        for file in mnist.iterdir():
            archive.write(file, f"MNIST/raw/{file.name.replace('-idx', '.idx')}")
    dataset = materialise(str(tmp_path / "mnist.zip"), tmp_path / "workspace", CLASSES)
    assert dataset.names == ["T-shirt", "Trouser", "Pullover", "Dress", "Coat"]
    assert len(dataset.splits["test"]) == 20


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-images-idx3-ubyte", b"\x89PNG" + bytes(40), "is no IDX file: it begins with 89 50 4e 47"),
        ("train-images-idx3-ubyte", b"", "is no IDX file: it begins with nothing"),
        ("train-images-idx3-ubyte", _idx(60, 28, 28, kind=0x0D), "values of type 0d in 3 dimensions"),
        ("train-images-idx3-ubyte", _idx(60, 784), "values of type 08 in 2 dimensions, not bytes .08. in 3"),
        (
            "train-images-idx3-ubyte",
            _idx(60, 28, 28)[:-1],
            "should have 47040 bytes of values .60×28×28. and has 47039",
        ),
        ("train-labels-idx1-ubyte", _idx(59), "has 60 images and train-labels-idx1-ubyte 59 labels"),
        ("t10k-images-idx3-ubyte.gz", gzip.compress(_idx(20, 28, 28))[:-400], "t10k-images-idx3-ubyte.gz cannot be"),
        ("train-labels-idx1-ubyte", None, "has no labels: there is no train-labels-idx1-ubyte beside it"),
        ("half-images-idx3-ubyte", _idx(2, 28, 28), "half-images-idx3-ubyte tells no split"),
        ("train-images-idx3-ubyte.gz", _idx(60, 28, 28), "Two files have the images of train"),
        ("classes.txt", b"cat\ndog\n", "classes.txt has 2 different names, and the labels go from 0 to 3"),
    ],
)
def test_what_is_wrong_with_an_idx_file_is_said(
    mnist: Path, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is None:
        (mnist / name).unlink()
    else:
        (mnist / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        materialise(str(mnist), tmp_path / "workspace", CLASSES)


def test_scikit_learns_digits_are_made_the_same_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = materialise("digits?task=classify&images=300&seed=1", tmp_path / "one", CLASSES)
    assert "not MNIST" in capsys.readouterr().out
    assert dataset.digest == materialise("digits?images=300&seed=1", tmp_path / "two", CLASSES).digest
    assert dataset.digest != materialise("digits?images=300&seed=2", tmp_path / "two", CLASSES).digest
    assert dataset.names == [str(value) for value in range(10)]
    assert sum(map(len, dataset.splits.values())) == 300
    assert all(len(_classes(dataset, split)) == 10 for split in dataset.splits)
    assert read_rgb(dataset.splits["test"][0].image).shape == (28, 28, 3)


def test_digits_of_another_task_or_setting_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is one for the task 'classify', and this is a training of 'detect'"):
        materialise("digits?task=classify", tmp_path / "workspace", BOXES)
    assert "unknown setting 'colour'" in _refusal("digits?colour=red", tmp_path)
    assert "sets images to '5000'" in _refusal("digits?images=5000", tmp_path)
