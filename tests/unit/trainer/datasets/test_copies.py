"""The workspace's copy: opened without reading it all, checked where it differs, repaired under its readers."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from oracle import refusal
from trainer.datasets import scratch, stored
from trainer.datasets.cache import PREPARED, materialise
from trainer.errors import TrainerError
from trainer.progress import Progress

from conftest import MakeTree


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are hashed when a copy is opened."""
    files: list[str] = []
    real = stored._hashes_agree

    def spy(folder: Path, changed: list[tuple[str, str]]) -> Any:
        files.extend(file for file, _ in changed)
        return real(folder, changed)

    monkeypatch.setattr(stored, "_hashes_agree", spy)
    return files


def test_opening_a_copy_reads_no_image(make_tree: MakeTree, tmp_path: Path, hashed: list[str]) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    assert materialise(str(root), tmp_path / "workspace", expected=dataset.digest) == dataset
    assert hashed == []


def test_a_file_that_was_written_again_is_hashed_once(make_tree: MakeTree, tmp_path: Path, hashed: list[str]) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    touched = dataset.splits["train"][0]
    os.utime(touched.image, (1, 1))
    for _ in range(2):
        assert materialise(str(root), tmp_path / "workspace", expected=dataset.digest) == dataset
    assert hashed == ["images/train/0.png"]


def test_a_copy_on_another_volume_is_hashed_whole(make_tree: MakeTree, tmp_path: Path, hashed: list[str]) -> None:
    """There every file has another inode and time."""
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    shutil.copytree(tmp_path / "workspace", tmp_path / "restored")
    assert materialise("/nowhere", tmp_path / "restored", expected=dataset.digest).digest == dataset.digest
    assert len(hashed) == 20


@pytest.mark.parametrize("what", ["image", "label"])
def test_damage_that_keeps_the_size_is_found(what: str, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    sample = dataset.splits["train"][0]
    file = sample.image if what == "image" else sample.label
    assert file is not None
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    again = materialise(str(root), tmp_path / "workspace", expected=dataset.digest)
    assert sample.image.read_bytes() == (root / sample.key).read_bytes()
    assert again == dataset


INDEXES = {
    "other names": lambda text: text.replace('"cat"', '"fox"'),
    "no splits": lambda text: text.replace('"splits"', '"spilts"'),
    "rows of another kind": lambda text: json.dumps(json.loads(text) | {"splits": {"train": [1, 2]}}),
    "a list": lambda text: "[]",
    "cut off": lambda text: text[: len(text) // 2],
    "no text": lambda text: text[:20] + "\udcff" + text[21:],
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_that_was_changed_is_found(kind: str, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    index = dataset.root / stored.INDEX
    index.write_bytes(INDEXES[kind](index.read_text()).encode(errors="surrogateescape"))
    assert materialise(str(root), tmp_path / "workspace", expected=dataset.digest) == dataset


@pytest.mark.parametrize("name", ["data.yaml", "train.txt"])
def test_what_ultralytics_reads_first_is_restored_without_the_source(
    name: str, make_tree: MakeTree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list with a line less would be trained without a word: the digest is that of images, labels and names."""
    dataset = materialise(str(make_tree()), tmp_path / "workspace")
    file = dataset.root / name
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], None):
        file.unlink() if damage is None else file.write_bytes(damage)
        assert materialise("/nowhere", tmp_path / "workspace", expected=dataset.digest) == dataset
        assert file.read_bytes() == whole
    assert capsys.readouterr().out.count(f"{name} of the workspace's copy") == 2


def test_a_volume_that_does_not_answer_is_no_damage(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else `train` would ask for a source that may be gone, and no retry would follow."""
    dataset = materialise(str(make_tree()), tmp_path / "workspace")

    def stale(folder: Path, index: stored.Index) -> Any:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(folder))

    monkeypatch.setattr(stored, "_stamps", stale)
    with pytest.raises(OSError, match="Stale file handle"):
        materialise("/nowhere", tmp_path / "workspace", expected=dataset.digest)


def test_what_a_killed_pod_left_is_removed_and_what_a_living_one_makes_is_not(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "BEAT", 0.01)
    folder = tmp_path / "workspace/datasets"
    left = folder / f"{scratch.PREFIX}of-a-killed-pod"
    (left / "copy/images").mkdir(parents=True)
    with scratch.scratch_folder(folder) as living:
        for path in (left, living):
            os.utime(path, (1, 1))
        while living.stat().st_mtime == 1:
            time.sleep(0.01)
        dataset = materialise(str(make_tree()), tmp_path / "workspace")
        assert {path.name for path in folder.iterdir()} == {living.name, dataset.digest}
    assert [path.name for path in folder.iterdir()] == [dataset.digest]


def test_a_source_that_changes_while_it_is_copied_makes_no_copy(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    shutil.rmtree(dataset.root)  # by hand, to make room
    assert list((tmp_path / "workspace" / PREPARED).iterdir()), "so it is checked first, and copied afterwards"
    real = stored.CopyWriter.write_all

    def edit_first(*arguments: Any) -> None:
        (root / "labels/train/0.txt").write_text("1 0.5 0.5 0.1 0.1\n")
        real(*arguments)

    monkeypatch.setattr(stored.CopyWriter, "write_all", edit_first)
    with pytest.raises(TrainerError, match=r"images/train/0\.png of the dataset was changed while it was being copied"):
        materialise(str(root), tmp_path / "workspace")
    assert not list((tmp_path / "workspace/datasets").iterdir())


def test_a_repair_takes_no_image_from_a_training_that_reads(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    folder = os.open(dataset.root / "images/train", os.O_RDONLY)
    try:
        dataset.splits["train"][0].image.unlink()
        materialise(str(root), tmp_path / "workspace", expected=dataset.digest)
        names = os.listdir(folder)  # noqa: PTH208 - of the folder that a reader has open, whatever its name is now
        assert sorted(names) == sorted(path.name for path in (root / "images/train").iterdir())
    finally:
        os.close(folder)


def test_preparing_the_same_dataset_again_writes_nothing(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    dataset = materialise(str(root), tmp_path / "workspace")
    before = {path: path.stat().st_ino for path in dataset.root.rglob("*")}
    assert materialise(str(root), tmp_path / "workspace") == dataset
    assert {path: path.stat().st_ino for path in dataset.root.rglob("*")} == before


def test_long_work_says_how_many_images_and_seconds_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("Checking images", 3, every=0.0)
    for _ in range(3):
        progress.step()
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(",")[0] for line in lines] == ["Checking images: 1/3", "Checking images: 2/3"]
    assert all(line.endswith("s left") for line in lines)


def test_a_zip_with_a_password_is_refused(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    archive = tmp_path / "secret.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                zipped.write(path, path.relative_to(root))
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        while place >= 0:
            content[place + flags] |= 1  # the bit that says that a member is encrypted
            place = content.find(signature, place + 4)
    archive.write_bytes(content)
    message = refusal(archive, tmp_path / "workspace")
    assert "has a password" in message and "without one" in message


def test_a_full_workspace_is_told_and_may_be_retried(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(stored, "write_file", full)
    with pytest.raises(TrainerError, match="has no room for the dataset") as caught:
        materialise(str(make_tree()), tmp_path / "workspace")
    assert caught.value.exit_status == 1
    assert not list((tmp_path / "workspace/datasets").iterdir())
