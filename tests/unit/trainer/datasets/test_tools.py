"""What real tools wrote, down to what was read wrong of it: each test names the tool and the version that it is after.

The tools ran on 12 images with 18 boxes (docs/evidence.md); here are only the structures that they made.
"""

from __future__ import annotations

import json
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from oracle import assert_trained_as_read, our_boxes, refusal
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.tasks.detect.labelling import BOXES

from conftest import write_image

WIDTH, HEIGHT = SIZE = (64, 48)
NAMES = ["cat", "dog"]
PIXELS = (8, 6, 40, 30)  # left, top, right, bottom of the box on every image that has one
SHARES = (24 / WIDTH, 18 / HEIGHT, 32 / WIDTH, 24 / HEIGHT)  # the same as cx cy w h
LABELLED, EMPTY = [f"i{number}.png" for number in range(6)], ["e0.png", "e1.png"]


def _images(folder: Path, names: list[str] = LABELLED + EMPTY) -> None:
    for number, name in enumerate(names):
        write_image(folder / name, number, SIZE)


def _number(name: str) -> int:
    """The class of the box on an image."""
    return ord(name[1]) % 2


def _found(dataset: Dataset) -> dict[str, list[tuple[float, ...]]]:
    return our_boxes([sample for samples in dataset.splits.values() for sample in samples], len(dataset.names))


def _expected(*background: str) -> dict[str, list[tuple[float, ...]]]:
    boxes = {name: [(_number(name), *(round(value, 6) for value in SHARES))] for name in LABELLED}
    return boxes | {name: [] for name in background}


def _coco(prefix: str = "") -> dict[str, Any]:
    left, top, right, bottom = PIXELS
    box = [left, top, right - left, bottom - top]
    images = [
        {"width": WIDTH, "height": HEIGHT, "id": number, "file_name": prefix + name}
        for number, name in enumerate(LABELLED + EMPTY)
    ]
    annotations = [
        {"id": number, "image_id": number, "category_id": _number(name), "bbox": box, "segmentation": [], "iscrowd": 0}
        for number, name in enumerate(LABELLED)
    ]
    return {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES)],
        "annotations": annotations,
    }


def _write_coco(root: Path, content: dict[str, Any]) -> Path:
    _images(root / "images")
    (root / "result.json").write_text(json.dumps(content))
    return root


def _read(root: Path, tmp_path: Path) -> Dataset:
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert_trained_as_read(dataset)
    return dataset


def test_coco_with_null_for_the_size_of_an_image_that_could_not_be_opened(tmp_path: Path) -> None:
    """label-studio-sdk 2.1.2, format COCO without images: sizes come from boxes."""
    content = _coco("/data/upload/1/")
    for image in content["images"][len(LABELLED) :]:
        image |= {"width": None, "height": None}
    dataset = _read(_write_coco(tmp_path / "export", content), tmp_path)
    assert _found(dataset) == _expected(*EMPTY)

    content["images"][0]["width"] = None
    message = refusal(_write_coco(tmp_path / "other", content), tmp_path / "workspace2")
    assert "in pixels of an unknown width and height (1): /data/upload/1/i0.png in result.json" in message


def test_coco_that_names_images_by_label_studios_address_of_a_local_file(tmp_path: Path) -> None:
    root = _write_coco(tmp_path / "export", _coco("/data/local-files/?d=photos%2F"))
    assert _found(_read(root, tmp_path)) == _expected(*EMPTY)


def test_coco_that_has_addresses_of_images_in_place_of_names(tmp_path: Path) -> None:
    """The files of LVIS 1.0, after their documentation."""
    content = _coco()
    for image in content["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/train2017/{image.pop('file_name')}"
    assert _found(_read(_write_coco(tmp_path / "export", content), tmp_path)) == _expected(*EMPTY)


ORDERS = {
    "Label Studio, 8,000 images": ("images", "categories", "annotations"),
    "COCO's own, datumaro 1.13.12": ("images", "annotations", "categories"),
}


@pytest.mark.parametrize("kind", ORDERS)
def test_a_coco_file_of_many_megabytes_is_recognised(kind: str, tmp_path: Path) -> None:
    """Its lists begin far from both of its ends."""
    content = _coco()
    for entry in (content["images"][0], content["annotations"][-1], content["categories"][-1]):
        entry["attributes"] = "x" * (3 << 20)
    root = _write_coco(tmp_path / "export", {key: content[key] for key in ORDERS[kind]})
    assert _found(_read(root, tmp_path)) == _expected(*EMPTY)


def test_coco_ids_may_be_text_in_one_list_and_numbers_in_another(tmp_path: Path) -> None:
    content = _coco()
    for annotation in content["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    content["annotations"].append(content["annotations"][0] | {"id": 99, "image_id": 4711})
    dataset = _read(_write_coco(tmp_path / "export", content), tmp_path)
    assert _found(dataset) == _expected(*EMPTY)
    assert any("id 4711 in result.json" in warning for warning in dataset.summary["warnings"])


def test_coco_categories_and_boxes_may_be_text(tmp_path: Path) -> None:
    content = _coco()
    for annotation in content["annotations"]:
        annotation["category_id"] = str(annotation["category_id"])
        annotation["bbox"] = [str(value) for value in annotation["bbox"]]
    assert _found(_read(_write_coco(tmp_path / "export", content), tmp_path)) == _expected(*EMPTY)


def test_categories_are_in_the_order_of_their_numbers_also_where_these_are_text(tmp_path: Path) -> None:
    content = _coco()
    # As text, 10 is before 9.
    numbers = {0: "9", 1: "10"}
    for entries, key in ((content["annotations"], "category_id"), (content["categories"], "id")):
        for entry in entries:
            entry[key] = numbers[entry[key]]
    assert _found(_read(_write_coco(tmp_path / "export", content), tmp_path)) == _expected(*EMPTY)


def test_coco_with_one_id_for_two_images_or_categories_is_refused(tmp_path: Path) -> None:
    """As files that were joined by hand have: Ultralytics gives the boxes of both to the last one."""
    content = _coco()
    content["images"][1]["id"] = content["images"][0]["id"]
    message = refusal(_write_coco(tmp_path / "images", content), tmp_path / "workspace")
    assert "Images with one id, of which none can tell its boxes (1): i0.png and i1.png in result.json" in message

    content = _coco()
    content["categories"][1]["id"] = content["categories"][0]["id"]
    first, second = (category["name"] for category in content["categories"])
    message = refusal(_write_coco(tmp_path / "categories", content), tmp_path / "workspace")
    assert f"result.json gives the category id 0 to {first} and to {second}" in message


@pytest.mark.parametrize(
    ("kind", "field", "message"),
    [
        ("annotations", "category_id", "annotations without image_id and category_id"),
        ("images", "file_name", "images without id or file_name"),
        ("categories", "name", "categories without id or name"),
    ],
)
def test_a_coco_file_of_another_task_is_refused(kind: str, field: str, message: str, tmp_path: Path) -> None:
    content = _coco()
    del content[kind][0][field]
    assert message in refusal(_write_coco(tmp_path / "export", content), tmp_path / "workspace")


def _voc(file: Path, name: str, folder: str = "", database: str = "Unknown", shift: int = 0) -> None:
    left, top, right, bottom = PIXELS
    sides = {"xmin": left + shift, "ymin": top + shift, "xmax": right, "ymax": bottom}
    bounds = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f"<annotation>\n  <folder>{folder}</folder>\n  <filename>{name}</filename>\n"
        f"  <source><database>{database}</database></source>\n"
        f"  <size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>\n"
        f"  <object><name>{NAMES[_number(name)]}</name><bndbox>{bounds}</bndbox></object>\n</annotation>"
    )


@pytest.mark.parametrize("subset", ["train", "default", "my_subset"])
def test_voc_without_a_file_for_images_without_objects(subset: str, tmp_path: Path) -> None:
    """datumaro 1.13.12, which CVAT exports with: the list names them, and masks have the names of images."""
    root = tmp_path / "voc"
    _images(root / "JPEGImages")
    _images(root / "SegmentationClass", LABELLED[:1])
    for name in LABELLED:
        _voc(root / f"Annotations/{name[:-4]}.xml", name)
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / f"ImageSets/Main/{subset}.txt").write_text("".join(f"{name[:-4]}\n" for name in LABELLED + EMPTY))
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:::\ndog:::\n")
    dataset = _read(root, tmp_path)
    assert _found(dataset) == _expected(*EMPTY)
    assert any("no label file" in warning and "(2 of 8, 25%)" in warning for warning in dataset.summary["warnings"])


def test_voc_images_that_nothing_names_are_left_out_and_said(tmp_path: Path) -> None:
    """LabelImg 1.8.6 and label-studio-sdk 2.1.2: an image that nobody saved has no file."""
    root = tmp_path / "voc"
    _images(root)
    for name in LABELLED:
        _voc(root / f"{name[:-4]}.xml", name)
    dataset = _read(root, tmp_path)
    assert _found(dataset) == _expected()
    said = "Images without a Pascal VOC file, which are left out (2): e0.png, e1.png."
    assert said in dataset.summary["warnings"]


def test_voc_of_an_image_that_a_person_has_verified_in_labelimg(tmp_path: Path) -> None:
    """LabelImg 1.8.6 marks it by an attribute of the file's first element."""
    root = tmp_path / "voc"
    _images(root, LABELLED)
    for number, name in enumerate(LABELLED):
        file = root / f"{name[:-4]}.xml"
        _voc(file, name)
        if number % 2:
            file.write_text(file.read_text().replace("<annotation>", '<annotation verified="yes">', 1))
    dataset = _read(root, tmp_path)
    assert _found(dataset) == _expected()
    assert dataset.summary["warnings"] == []


def test_voc_that_counts_the_first_pixel_from_one(tmp_path: Path) -> None:
    """supervision 0.31.2: a box from 0 to 10 is written as 1 to 10."""
    root = tmp_path / "voc"
    _images(root / "images", LABELLED)
    for name in LABELLED:
        _voc(root / f"annotations/{name[:-4]}.xml", name, "VOC", "roboflow.ai", shift=1)
    assert _found(_read(root, tmp_path)) == _expected()


@pytest.mark.parametrize("folders", [("",), ("train/", "valid/")])
def test_data_yaml_without_splits(folders: tuple[str, ...], tmp_path: Path) -> None:
    """supervision 0.31.2: names and nc alone; the folders tell the splits, if any do."""
    root = tmp_path / "yolo"
    for number, name in enumerate(LABELLED + EMPTY):
        folder = root / folders[number % len(folders)]
        write_image(folder / "images" / name, number, SIZE)
        text = "" if name in EMPTY else " ".join(map(str, (_number(name), *SHARES)))
        (folder / "labels").mkdir(exist_ok=True)
        (folder / f"labels/{name[:-4]}.txt").write_text(text)
    (root / "data.yaml").write_text(yaml.safe_dump({"nc": 2, "names": NAMES}))
    dataset = _read(root, tmp_path)
    assert _found(dataset) == _expected(*EMPTY)
    assert dataset.summary["splits_made"]["splits"] == (["val", "test"] if folders == ("",) else ["test"])


def _as_info_zip(archive: Path) -> None:
    """UTF-8 without the flag that says so, as zip 3.0 of Info-ZIP writes it."""
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = content.find(signature)
        while place >= 0:
            content[place + flags] &= ~0x08
            place = content.find(signature, place + 4)
    archive.write_bytes(content)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("change", [lambda archive: None, _as_info_zip])
def test_a_zip_whose_names_are_not_ascii(change: Callable[[Path], None], form: str, tmp_path: Path) -> None:
    """Info-ZIP 3.0 says nothing of its UTF-8; Macs write é as e and an accent (NFD)."""
    content = _coco()
    archive = tmp_path / "export.zip"
    _images(tmp_path / "images")
    with zipfile.ZipFile(archive, "w") as zipped:
        for image in content["images"]:
            name = f"Café_{image['file_name']}"
            zipped.write(tmp_path / "images" / image["file_name"], unicodedata.normalize(form, f"images/{name}"))
            image["file_name"] = name
        zipped.writestr("result.json", json.dumps(content, ensure_ascii=False))
    change(archive)
    found = _found(_read(archive, tmp_path))
    named = {unicodedata.normalize("NFC", name).removeprefix("Café_"): rows for name, rows in found.items()}
    assert named == _expected(*EMPTY)


def test_a_zip_as_windows_compresses_large_ones_is_refused_by_reason(tmp_path: Path) -> None:
    """Deflate64; tried with 7-Zip 26.02."""
    archive = tmp_path / "large.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("data.yaml", "names: [cat]\n" * 100)
    content = bytearray(archive.read_bytes())
    content[content.find(b"PK\x01\x02") + 10] = 9
    archive.write_bytes(content)
    assert "Deflate64" in refusal(archive, tmp_path / "workspace")
