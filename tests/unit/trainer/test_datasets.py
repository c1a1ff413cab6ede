"""Sound datasets: the digest is that of the content alone, missing splits are made alike, copies can be relied on."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from trainer.datasets.cache import materialise
from trainer.datasets.digest import Entry, dataset_digest
from trainer.datasets.model import label_path
from trainer.errors import InputError
from trainer.tasks.detect.labelling import BOXES

from conftest import MakeTree, write_image


def _zip(root: Path, target: Path, order: list[Path]) -> Path:
    with zipfile.ZipFile(target, "w") as zipped:
        for path in order:
            zipped.write(path, Path("export") / path.relative_to(root))
    return target


def _tar(root: Path, target: Path, order: list[Path]) -> Path:
    with tarfile.open(target, "w:gz") as tarred:
        for path in order:
            tarred.add(path, str(path.relative_to(root)), recursive=False)
    return target


def test_the_same_content_has_one_digest_in_any_form_and_place(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    files = sorted(path for path in root.rglob("*") if path.is_file())
    shuffled = random.Random(3).sample(files, len(files))
    moved = tmp_path / "another/place"
    shutil.copytree(root, moved)
    for number, path in enumerate(sorted(moved.rglob("*"), reverse=True)):
        os.utime(path, (number, number))
    uris = [
        str(root),
        str(root / "data.yaml"),
        f"file://{moved}",
        str(_zip(root, tmp_path / "a.zip", shuffled)),
        str(_tar(root, tmp_path / "a.tar.gz", shuffled)),
    ]
    digests = {materialise(uri, tmp_path / f"workspace{number}", BOXES).digest for number, uri in enumerate(uris)}
    assert len(digests) == 1
    assert len(digests.pop()) == 64


@pytest.mark.parametrize("seed", range(20))
def test_the_digest_depends_on_content_and_not_on_order(seed: int) -> None:
    rng = random.Random(seed)
    entries: list[Entry] = [
        (rng.choice(["train", "val"]), f"images/{number}.png", f"{number:064x}", rng.choice(["-", f"{number:064x}"]))
        for number in range(rng.randrange(1, 40))
    ]
    names = ["a", "b"]
    assert dataset_digest(names, rng.sample(entries, len(entries))) == dataset_digest(names, entries)
    split, key, image, label = entries[0]
    for other in [("test", key, image, label), (split, key + "x", image, label), (split, key, "f" * 64, label)]:
        assert dataset_digest(names, [other, *entries[1:]]) != dataset_digest(names, entries)
    assert dataset_digest(["b", "a"], entries) != dataset_digest(names, entries)


@pytest.mark.parametrize("change", ["label", "image", "name", "split"])
def test_a_change_of_content_changes_the_digest(change: str, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    before = materialise(str(root), tmp_path / "workspace", BOXES).digest
    if change == "label":
        (root / "labels/train/0.txt").write_text("1 0.5 0.5 0.25 0.25\n")
    elif change == "image":
        write_image(root / "images/train/0.png", 1000)
    elif change == "name":
        (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("dog", "wolf"))
    else:
        (root / "images/train/0.png").rename(root / "images/test/moved.png")
        (root / "labels/train/0.txt").rename(root / "labels/test/moved.txt")
    assert materialise(str(root), tmp_path / "workspace", BOXES).digest != before


@pytest.mark.parametrize(("have", "made"), [({"train": 20}, ["val", "test"]), ({"train": 20, "val": 4}, ["test"])])
def test_missing_splits_are_made_and_said(
    have: dict[str, int], made: list[str], make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree(splits=have)
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert dataset.summary["splits_made"] == {"splits": made, "from": "train", "share_each": 0.1, "seed": 0}
    counts = {split: len(samples) for split, samples in dataset.splits.items()}
    assert counts == {"train": 20 - 2 * len(made), "val": have.get("val", 2), "test": 2}
    keys = [sample.key for samples in dataset.splits.values() for sample in samples]
    assert len(keys) == len(set(keys)) == sum(have.values())


def test_made_splits_follow_the_content_and_not_the_names(make_tree: MakeTree, tmp_path: Path) -> None:
    first = make_tree("first", splits={"train": 30})
    second = tmp_path / "second"
    shutil.copytree(first, second)
    renamed = random.Random(1).sample(range(30), 30)
    for number in range(30):
        for kind, suffix in (("images", "png"), ("labels", "txt")):
            folder = second / kind / "train"
            (folder / f"{number}.{suffix}").rename(folder / f"x{renamed[number]}.{suffix}")
    chosen = []
    for root in (first, second):
        dataset = materialise(str(root), tmp_path / "workspace", BOXES)
        chosen.append({sample.image.read_bytes() for sample in dataset.splits["test"]})
    assert chosen[0] == chosen[1]


def test_equal_images_stay_in_one_split(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree(splits={"train": 10})
    for number in range(10):
        shutil.copyfile(root / f"images/train/{number}.png", root / f"images/train/copy{number}.png")
        shutil.copyfile(root / f"labels/train/{number}.txt", root / f"labels/train/copy{number}.txt")
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    train, val, test = ({sample.image.read_bytes() for sample in samples} for samples in dataset.splits.values())
    assert not (train & val or train & test or val & test)
    assert "The same image twice in a split (10)" in dataset.summary["warnings"][0]


def test_images_without_objects_are_counted(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "labels/train/0.txt").unlink()
    (root / "labels/train/1.txt").write_text("")
    (root / "labels/train/2.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n")
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    train = dataset.summary["splits"]["train"]
    assert (train["images"], train["background_images"], train["images_without_label_file"]) == (6, 2, 1)
    assert train["boxes_by_class"] == {"cat": 4, "dog": 1}
    assert any("written twice" in warning for warning in dataset.summary["warnings"])


def _roboflow(root: Path) -> str:
    """train/images and train/labels, named from one folder further down."""
    for split in ("train", "val", "test"):
        (root / split).mkdir()
        for kind in ("images", "labels"):
            (root / kind / split).rename(root / split / kind)
    return "train: ../train/images\nval: ../val/images\ntest: ../test/images\nnc: 2\nnames: [cat, dog]\n"


def _flat(root: Path) -> str:
    """Labels beside the images, and the path of another machine."""
    for split in ("train", "val", "test"):
        (root / "images" / split).rename(root / split)
        for label in (root / "labels" / split).iterdir():
            label.rename(root / split / label.name)
    return "path: /machine/that/made/it\ntrain: train\nval: val\ntest: test\nnames: {0: cat, 1: dog}\n"


def _lists(root: Path) -> str:
    for split in ("train", "val", "test"):
        lines = [f"./images/{split}/{path.name}" for path in (root / "images" / split).iterdir()]
        (root / f"{split}.txt").write_text("\n".join(lines))
    return "train: train.txt\nvalid: val.txt\ntest: test.txt\nnames: [cat, dog]\n"


def _several_folders(root: Path) -> str:
    return "train: [images/train, images/val]\nval: images/test\nnames: [cat, dog]\n"


@pytest.mark.parametrize("layout", [_roboflow, _flat, _lists, _several_folders])
def test_the_layouts_that_people_have_are_read(layout: Any, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "data.yaml").write_text(layout(root))
    dataset = materialise(str(root), tmp_path / "images" / "workspace", BOXES)
    assert sum(len(samples) for samples in dataset.splits.values()) == 10
    for samples in dataset.splits.values():
        for sample in samples:
            assert sample.label is not None and sample.label.read_text()
            place = sample.image.relative_to(dataset.root).as_posix()
            assert dataset.root / label_path(place) == sample.label
            # Ultralytics replaces the last "images" of the whole path, of which the workspace's may be one.
            assert Path(label_path(str(sample.image))) == sample.label


def test_polygons_become_boxes(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "labels/train/0.txt").write_text("1 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n")
    assert (
        materialise(str(root), tmp_path / "workspace", BOXES).summary["splits"]["train"]["boxes_by_class"]["dog"] == 1
    )


def test_the_workspaces_copy_is_used_without_the_source(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    first = materialise(str(root), tmp_path / "workspace", BOXES)
    shutil.rmtree(root)
    again = materialise(str(root), tmp_path / "workspace", BOXES, expected=first.digest)
    assert again == first


def test_a_damaged_copy_is_made_again(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    first = materialise(str(root), tmp_path / "workspace", BOXES)
    first.splits["train"][0].image.write_bytes(b"damaged")
    again = materialise(str(root), tmp_path / "workspace", BOXES, expected=first.digest)
    assert again.splits["train"][0].image.read_bytes() == (root / again.splits["train"][0].key).read_bytes()


def test_a_dataset_that_has_changed_since_prepare_is_refused(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    digest = materialise(str(root), tmp_path / "one", BOXES).digest
    (root / "labels/train/0.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    with pytest.raises(InputError, match=f"changed since prepare.*{digest}"):
        materialise(str(root), tmp_path / "two", BOXES, expected=digest)


def _materialise(uri: str, workspace: Path, answers: Any) -> None:
    answers.put(materialise(uri, workspace, BOXES).digest)


def test_several_pods_may_make_the_same_copy_at_once(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree(splits={"train": 60, "val": 20, "test": 20})
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    pods = [context.Process(target=_materialise, args=(str(root), tmp_path / "ws", answers)) for _ in range(3)]
    for pod in pods:
        pod.start()
    digests = {answers.get(timeout=60) for _ in pods}
    for pod in pods:
        pod.join(60)
        assert pod.exitcode == 0
    assert len(digests) == 1
    assert [path.name for path in (tmp_path / "ws/datasets").iterdir()] == list(digests)
