"""Where labelling tools put label files, splits and names: the same boxes as Ultralytics reads, or more of them."""

from __future__ import annotations

import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from oracle import assert_same, assert_trained_as_read, our_boxes, refusal, ultralytics_boxes, untouched
from trainer.datasets.cache import materialise
from trainer.tasks.detect.labelling import BOXES

from conftest import MakeTree

NAMES = "names: [cat, dog]\n"


def _describe(root: Path, text: str) -> None:
    (root / "data.yaml").write_text(text)


def _roboflow(root: Path) -> Path:
    """As Roboflow exports it: train/, valid/, no test/, and paths that start one folder too low."""
    shutil.rmtree(root / "images/test")
    shutil.rmtree(root / "labels/test")
    for split, folder in (("train", "train"), ("val", "valid")):
        for kind in ("images", "labels"):
            (root / folder).mkdir(exist_ok=True)
            (root / kind / split).rename(root / folder / kind)
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        (root / name).write_text("https://example.com\n")
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n"
    _describe(root, text + "\nroboflow:\n  workspace: w\n  version: 1\n")
    return root


def test_a_roboflow_export_without_its_test_split_is_read(make_tree: MakeTree, tmp_path: Path) -> None:
    root = _roboflow(make_tree(splits={"train": 20, "val": 4, "test": 2}))
    twin = untouched(root)
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert_same(our_boxes(dataset.splits["val"], 2), ultralytics_boxes(twin / "data.yaml", "val"))
    both = our_boxes(dataset.splits["train"], 2) | our_boxes(dataset.splits["test"], 2)
    assert_same(both, ultralytics_boxes(twin / "data.yaml", "train"))
    assert dataset.summary["splits_made"]["splits"] == ["test"]
    assert any("test: ../test/images" in warning for warning in dataset.summary["warnings"])
    assert_trained_as_read(dataset)


def test_a_missing_val_is_still_refused(make_tree: MakeTree, tmp_path: Path) -> None:
    root = _roboflow(make_tree())
    shutil.rmtree(root / "valid")
    assert "do not exist (1): val: ../valid/images" in refusal(root, tmp_path / "workspace")


def _beside(root: Path) -> None:
    """LabelImg's default: each label file beside its image, and classes.txt with them."""
    for split in ("train", "val", "test"):
        for label in (root / "labels" / split).iterdir():
            label.rename(root / "images" / split / label.name)
        (root / "images" / split / "classes.txt").write_text("cat\ndog\n")
    shutil.rmtree(root / "labels")


def _capitals(root: Path) -> None:
    (root / "images").rename(root / "Images")
    (root / "labels").rename(root / "Labels")
    _describe(root, "train: Images/train\nval: Images/val\ntest: Images/test\n" + NAMES)


def _upper_suffix(root: Path) -> None:
    for label in list((root / "labels").rglob("*.txt")):
        label.rename(label.with_suffix(".TXT"))
    for image in list((root / "images").rglob("*.png")):
        image.rename(image.with_suffix(".PNG"))


def _half_beside(root: Path) -> None:
    for number in range(3):
        (root / f"labels/train/{number}.txt").rename(root / f"images/train/{number}.txt")


@pytest.mark.parametrize("change", [_beside, _capitals, _upper_suffix, _half_beside])
def test_label_files_are_found_where_tools_put_them(
    change: Callable[[Path], None], make_tree: MakeTree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_tree()
    twin = untouched(root) / "data.yaml"
    expected = {split: ultralytics_boxes(twin, split) for split in ("train", "val", "test")}
    change(root)
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    for split, boxes in expected.items():
        found = our_boxes(dataset.splits[split], 2)
        assert_same({name.lower(): rows for name, rows in found.items()}, boxes)
    assert_trained_as_read(dataset)
    said = capsys.readouterr().out
    if change in (_beside, _half_beside):
        assert "have their label files beside them" in said


def test_without_any_label_file_a_dataset_is_refused(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "labels").rename(root / "annotations-of-somebody")
    message = refusal(root, tmp_path / "workspace")
    assert "Splits without a box in any image" in message
    assert "train (6 of its 6 images have no label file" in message


def test_a_split_with_many_unlabelled_images_warns_with_the_share(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    for number in range(3):
        (root / f"labels/train/{number}.txt").unlink()
    warnings = materialise(str(root), tmp_path / "workspace", BOXES).summary["warnings"]
    assert any("no label file" in warning and "train (3 of 6, 50%)" in warning for warning in warnings)


def test_a_zip_made_on_windows_is_read(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    twin = untouched(root)
    _describe(root, "train: images\\train\nval: lists\\val.txt\ntest: images\\test\n" + NAMES)
    (root / "lists").mkdir()
    (root / "lists/val.txt").write_text(".\\..\\images\\val\\0.png\r\nimages\\val\\1.png\r\n")
    archive = tmp_path / "windows.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo("export\\images\\"), "")
        for path in sorted(root.rglob("*")):
            if path.is_file():
                member = zipfile.ZipInfo("x")
                member.filename = "export\\" + str(path.relative_to(root)).replace("/", "\\")
                zipped.writestr(member, path.read_bytes())
    assert b"export\\images\\train\\0.png" in archive.read_bytes()
    dataset = materialise(str(archive), tmp_path / "workspace", BOXES)
    for split in ("train", "val", "test"):
        assert_same(our_boxes(dataset.splits[split], 2), ultralytics_boxes(twin / "data.yaml", split))


@pytest.mark.parametrize("entry", ["C:\\data\\images\\train", "D:/data/images/train", "\\\\server\\share\\train"])
def test_an_absolute_windows_path_is_named_as_such(entry: str, make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _describe(root, f"train: '{entry}'\nval: images/val\ntest: images/test\n" + NAMES)
    message = refusal(root, tmp_path / "workspace")
    assert "Absolute paths of a Windows machine" in message and f"train: {entry}" in message
    assert "relative to data.yaml" in message


def test_an_absolute_windows_path_in_a_list_is_named(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "train.txt").write_text("C:\\data\\0.png\n")
    _describe(root, "train: train.txt\nval: images/val\ntest: images/test\n" + NAMES)
    assert "train (train.txt): C:\\data\\0.png" in refusal(root, tmp_path / "workspace")


def _written_as(root: Path, form: str, *paths: str) -> None:
    """Give files and folders names in which each accent and its letter are one (NFC) or two (NFD)."""
    for path in paths:
        parent, _, name = path.rpartition("/")
        (root / path).rename(root / parent / f"{unicodedata.normalize(form, 'Müller-Café-')}{name}")


@pytest.mark.parametrize(("images", "labels"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("listed", [False, True], ids=["folder", "list"])
def test_accents_are_written_as_one_character_or_as_two_wherever_they_stand(
    images: str, labels: str, listed: bool, make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree()
    shutil.copytree(root, tmp_path / "one-form")
    for tree, forms in ((root, (images, labels)), (tmp_path / "one-form", ("NFC", "NFC"))):
        for kind, form in zip(("images", "labels"), forms, strict=True):
            files = [file.relative_to(tree).as_posix() for file in (tree / kind / "train").iterdir()]
            _written_as(tree, form, *files, f"{kind}/train")
        folder = "images/Müller-Café-train"
        files = [f"./{folder}/{file.name}" for file in (tree / "images").glob("M*/*")]
        (tree / "train.txt").write_text(unicodedata.normalize("NFC", "\n".join(files)))
        _describe(tree, f"train: {'train.txt' if listed else folder}\nval: images/val\ntest: images/test\n{NAMES}")
    expected = ultralytics_boxes(tmp_path / "one-form" / "data.yaml", "train")
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    found = our_boxes(dataset.splits["train"], 2)
    assert_same({unicodedata.normalize("NFC", name): rows for name, rows in found.items()}, expected)
    assert_trained_as_read(dataset)


@pytest.mark.parametrize("names", ['{"0": cat, "1": dog}', "{1: dog, 0: cat}", '{"1": dog, 0: cat}', "\n- cat\n- dog"])
def test_names_may_have_keys_of_text_and_any_order(names: str, make_tree: MakeTree, tmp_path: Path) -> None:
    from ultralytics.data.utils import check_det_dataset

    root = make_tree()
    _describe(root, f"train: images/train\nval: images/val\ntest: images/test\nnames: {names}\n")
    read = check_det_dataset(str(untouched(root) / "data.yaml"))["names"]
    names_read = materialise(str(root), tmp_path / "workspace", BOXES).names
    assert names_read == [read[number] for number in range(2)] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("names", "odd"),
    [
        ("[yes, no]", "'yes' (read as True), 'no' (read as False)"),
        ("{0: on, 1: dog}", "'on' (read as True)"),
        ("[010, dog]", "'010' (read as 8)"),
        ("[null, dog]", "'null' (read as None)"),
        ("[12:30, dog]", "'12:30' (read as 750)"),
        ("[[cat], dog]", "(read as ['cat'])"),
    ],
)
def test_names_that_yaml_reads_as_something_else_must_be_quoted(
    names: str, odd: str, make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree()
    _describe(root, f"train: images/train\nval: images/val\ntest: images/test\nnames: {names}\n")
    message = refusal(root, tmp_path / "workspace")
    assert odd in message and "Quote them" in message


def test_names_with_a_dash_and_a_number_are_one_sentence(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _describe(root, "train: images/train\nval: images/val\ntest: images/test\nnames:\n- 0: cat\n- 1: dog\n")
    message = refusal(root, tmp_path / "workspace")
    assert "data.yaml lists its names with a dash and a number, too, such as `- 0: cat`. Leave out" in message


def test_names_with_accents_are_the_same_names_however_they_are_written(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    apart = unicodedata.normalize("NFD", "Müller")
    _describe(root, f"train: images/train\nval: images/val\ntest: images/test\nnames: [{apart}, dog]\n")
    assert materialise(str(root), tmp_path / "workspace", BOXES).names == [unicodedata.normalize("NFC", apart), "dog"]


def test_quoted_names_and_numbers_are_taken(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _describe(root, "train: images/train\nval: images/val\ntest: images/test\nnames: ['yes', 7]\n")
    assert materialise(str(root), tmp_path / "workspace", BOXES).names == ["yes", "7"]


def test_one_folder_as_train_and_val_is_one_sentence_with_the_way_out(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _describe(root, "train: images/train\nval: images/train\n" + NAMES)
    message = refusal(root, tmp_path / "workspace")
    assert "Splits that are the same images as train (1): val (leave `val:` out of data.yaml" in message
    assert "[train] =" not in message


def test_a_folder_that_is_a_link_inside_of_the_dataset_is_followed(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "kept").mkdir()
    for kind in ("images", "labels"):
        (root / kind / "train").rename(root / "kept" / kind)
        (root / kind / "train").mkdir()
        (root / kind / "train/monday").symlink_to(root / "kept" / kind)
    (root / "images/train/monday/loop").symlink_to(root / "images/train")
    twin = untouched(make_tree("plain"))
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert_same(our_boxes(dataset.splits["train"], 2), ultralytics_boxes(twin / "data.yaml", "train"))
    assert_trained_as_read(dataset)


def test_a_folder_that_is_a_link_out_of_the_dataset_is_refused_by_name(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (tmp_path / "elsewhere").mkdir()
    (root / "images/train/tuesday").symlink_to(tmp_path / "elsewhere")
    (root / "images/train/lost.png").symlink_to(tmp_path / "nowhere.png")
    message = refusal(root, tmp_path / "workspace")
    assert "links out of the dataset's folder" in message and "images/train/tuesday" in message
    assert "images/train/lost.png (a link to nowhere)" in message


def test_a_dataset_whose_images_are_links_is_copied(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "images/train/0.png").rename(tmp_path / "far.png")
    (root / "images/train/0.png").symlink_to(tmp_path / "far.png")
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert not any(path.is_symlink() for path in dataset.root.rglob("*"))
