"""COCO JSON, Pascal VOC XML and YOLO without data.yaml as tools export them; boxes as Ultralytics converts them."""

from __future__ import annotations

import json
import random
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from oracle import Boxes, assert_same, assert_trained_as_read, our_boxes, refusal, start_ultralytics
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.tasks.detect.labelling import BOXES

from conftest import write_image

SIZE = (64, 48)  # width and height, pixels
NAMES = ["cat", "dog", "fox"]
COUNTS = {"train": 6, "val": 3}

Pixels = tuple[float, float, float, float]  # left, top, right, bottom
Objects = dict[str, dict[str, list[tuple[int, Pixels]]]]  # class and box of each object, by split and image


def _objects() -> Objects:
    """Random objects on images with names that differ in every split."""
    rng = random.Random(5)

    def box() -> Pixels:
        left, top = rng.randrange(1, 30), rng.randrange(1, 20)
        return left, top, left + rng.randrange(5, 30), top + rng.randrange(5, 25)

    return {
        split: {
            f"{split[0]}{number}.png": [(rng.randrange(3), box()) for _ in range(number % 4)] for number in range(count)
        }
        for split, count in COUNTS.items()
    }


OBJECTS = _objects()


def _images(folder: Callable[[str], Path]) -> None:
    seed = 0
    for split, images in OBJECTS.items():
        for name in images:
            write_image(folder(split) / name, seed, SIZE)
            seed += 1


def _yolo_row(number: int, box: Pixels) -> str:
    left, top, right, bottom = box
    width, height = SIZE
    x, y = (left + right) / 2 / width, (top + bottom) / 2 / height
    return f"{number} {x:.6f} {y:.6f} {(right - left) / width:.6f} {(bottom - top) / height:.6f}\n"


def _expected(split: str, names: list[str] = NAMES) -> Boxes:
    """The objects as boxes in shares, numbered as ``names`` are."""
    found: Boxes = {}
    for image, objects in OBJECTS[split].items():
        rows = [_yolo_row(names.index(NAMES[number]), box).split() for number, box in objects]
        found[image] = sorted(tuple(float(word) for word in row) for row in rows)
    return found


def _coco(split: str, first: int = 1, prefix: str = "", more: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    categories = [{"id": first + number, "name": name, "supercategory": ""} for number, name in enumerate(NAMES)]
    images, annotations = [], []
    for number, (name, objects) in enumerate(OBJECTS[split].items()):
        images.append({"id": number, "file_name": prefix + name, "width": SIZE[0], "height": SIZE[1]})
        for category, (left, top, right, bottom) in objects:
            box = [left, top, right - left, bottom - top]
            polygon = [left, top, right, top, right, bottom, left, bottom]
            entry = {"id": len(annotations), "image_id": number, "category_id": first + category, "iscrowd": 0}
            annotations.append({**entry, "bbox": box, "segmentation": [polygon], "area": box[2] * box[3]})
    return {"info": {}, "images": images, "annotations": [*annotations, *(more or [])], "categories": categories}


def _write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def _instances(root: Path) -> list[str]:
    """COCO's own layout, with captions beside the instances and images in folders by split."""
    _images(lambda split: root / f"{split}2017")
    for split in COUNTS:
        _write_json(root / f"annotations/instances_{split}2017.json", _coco(split))
        _write_json(root / f"annotations/captions_{split}2017.json", {"images": [], "annotations": [], "info": {}})
        _write_json(root / f"annotations/person_keypoints_{split}2017.json", _coco(split) | {"categories": [{"id": 1}]})
    return NAMES


def _roboflow_coco(root: Path) -> list[str]:
    """A JSON file in each split's folder, ids from 0, and a category that only stands above the others."""
    _images(lambda split: root / {"val": "valid"}.get(split, split))
    for split in COUNTS:
        content = _coco(split, first=1)
        for category in content["categories"]:
            category["supercategory"] = "animals"
        content["categories"].insert(0, {"id": 0, "name": "animals", "supercategory": "none"})
        _write_json(root / {"val": "valid"}.get(split, split) / "_annotations.coco.json", content)
    return NAMES


def _cvat_coco(root: Path) -> list[str]:
    _images(lambda split: root / "images")
    for split in COUNTS:
        _write_json(root / f"annotations/instances_{split}.json", _coco(split))
    return NAMES


@pytest.mark.parametrize("layout", [_instances, _roboflow_coco, _cvat_coco])
def test_coco_is_read_as_it_is(layout: Callable[[Path], list[str]], tmp_path: Path, capsys: Any) -> None:
    names = layout(tmp_path / "coco")
    dataset = materialise(str(tmp_path / "coco"), tmp_path / "workspace", BOXES)
    assert dataset.names == names
    _assert_objects(dataset)
    assert "Format: COCO JSON (" in capsys.readouterr().out
    assert dataset.summary["format"].startswith("COCO JSON")


def _assert_objects(dataset: Dataset, names: list[str] = NAMES) -> None:
    """Every object of every image is there; a split that the export lacks was made of train."""
    found = {split: our_boxes(samples, len(names)) for split, samples in dataset.splits.items()}
    assert_same(found["val"], _expected("val", names))
    assert_same(found["train"] | found["test"], _expected("train", names))
    assert_trained_as_read(dataset)


def test_coco_boxes_are_those_of_ultralytics_own_conversion(tmp_path: Path) -> None:
    start_ultralytics()
    from ultralytics.data.converter import convert_coco

    _cvat_coco(tmp_path / "coco")
    crowd = {"id": 99, "image_id": 0, "category_id": 1, "iscrowd": 1, "bbox": [1, 1, 9, 9], "segmentation": {}}
    flat = {"id": 98, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 0, 9], "segmentation": []}
    _write_json(tmp_path / "coco/annotations/instances_train.json", _coco("train", more=[crowd, flat]))
    dataset = materialise(str(tmp_path / "coco"), tmp_path / "workspace", BOXES)
    convert_coco(str(tmp_path / "coco/annotations"), str(tmp_path / "converted"), cls91to80=False)
    converted = {
        f"{file.stem}.png": sorted(tuple(map(float, row.split())) for row in file.read_text().splitlines())
        for file in (tmp_path / "converted/labels").rglob("*.txt")
    }
    found = our_boxes([sample for samples in dataset.splits.values() for sample in samples], 3)
    assert_same(
        {name: rows for name, rows in found.items() if rows}, {k: rows for k, rows in converted.items() if rows}
    )
    warnings = " ".join(dataset.summary["warnings"])
    assert "crowds (iscrowd)" in warnings.lower() and "without width or height" in warnings.lower()


def _label_studio_coco(root: Path) -> None:
    """result.json beside images/, paths of the machine that it ran on, all in one, ids from 0."""
    _images(lambda split: root / "images")
    both = [_coco(split, first=0, prefix="..\\..\\label-studio\\data\\media\\upload\\1\\") for split in COUNTS]
    for entry in [*both[1]["images"]]:
        entry["id"] += 100
    for entry in both[1]["annotations"]:
        entry["image_id"] += 100
    content = both[0] | {key: both[0][key] + both[1][key] for key in ("images", "annotations")}
    _write_json(root / "result.json", content)


def _label_studio_voc(root: Path) -> None:
    _images(lambda split: root / "images")
    _voc_files(lambda split: root / "Annotations")


def _label_studio_yolo(root: Path) -> None:
    _images(lambda split: root / "images")
    _yolo_files(lambda split: root / "labels")
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    _write_json(
        root / "notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": {"contributor": "Label Studio"}}
    )


def _labelimg_yolo(root: Path) -> None:
    _images(lambda split: root)
    _yolo_files(lambda split: root)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))


def _labelimg_voc(root: Path) -> None:
    _images(lambda split: root)
    _voc_files(lambda split: root)


@pytest.mark.parametrize(
    "layout", [_label_studio_coco, _label_studio_voc, _label_studio_yolo, _labelimg_yolo, _labelimg_voc]
)
def test_an_export_without_splits_is_train_and_the_others_are_made(
    layout: Callable[[Path], None], tmp_path: Path
) -> None:
    layout(tmp_path / "export")
    dataset = materialise(str(tmp_path / "export"), tmp_path / "workspace", BOXES)
    assert dataset.names == NAMES
    assert dataset.summary["splits_made"]["splits"] == ["val", "test"]
    found = our_boxes([sample for samples in dataset.splits.values() for sample in samples], 3)
    assert_same(found, _expected("train") | _expected("val"))
    assert_trained_as_read(dataset)


def _voc_files(folder: Callable[[str], Path], source: str = "Unknown", difficult: int = 0) -> None:
    """Annotation files as LabelImg writes them."""
    for split, images in OBJECTS.items():
        for name, objects in images.items():
            root = ElementTree.Element("annotation")
            ElementTree.SubElement(root, "folder").text = "somewhere"
            ElementTree.SubElement(root, "filename").text = name
            ElementTree.SubElement(ElementTree.SubElement(root, "source"), "annotation").text = source
            size = ElementTree.SubElement(root, "size")
            for key, value in zip(("width", "height", "depth"), (*SIZE, 3), strict=True):
                ElementTree.SubElement(size, key).text = str(value)
            for number, box in objects:
                found = ElementTree.SubElement(root, "object")
                ElementTree.SubElement(found, "name").text = NAMES[number]
                ElementTree.SubElement(found, "difficult").text = str(difficult)
                bounds = ElementTree.SubElement(found, "bndbox")
                for key, side in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
                    ElementTree.SubElement(bounds, key).text = str(side)
            folder(split).mkdir(parents=True, exist_ok=True)
            ElementTree.ElementTree(root).write(folder(split) / f"{Path(name).stem}.xml")


def _yolo_files(folder: Callable[[str], Path]) -> None:
    for split, images in OBJECTS.items():
        folder(split).mkdir(parents=True, exist_ok=True)
        for name, objects in images.items():
            (folder(split) / f"{Path(name).stem}.txt").write_text("".join(_yolo_row(*entry) for entry in objects))


def _lists(folder: Path, prefix: str = "", suffix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, images in OBJECTS.items():
        lines = [f"{prefix}{Path(name).stem}{suffix}\n" for name in images]
        (folder / f"{split}.txt").write_text("".join(lines))


def _challenge(root: Path) -> None:
    """PASCAL's own layout, with lists of splits and a list by class."""
    _images(lambda split: root / "VOCdevkit/VOC2012/JPEGImages")
    _voc_files(lambda split: root / "VOCdevkit/VOC2012/Annotations")
    _lists(root / "VOCdevkit/VOC2012/ImageSets/Main")
    (root / "VOCdevkit/VOC2012/ImageSets/Main/cat_train.txt").write_text("v0 -1\n")
    (root / "VOCdevkit/VOC2012/ImageSets/Main/trainval.txt").write_text("v0\nt0\n")


def _roboflow_voc(root: Path) -> None:
    _images(lambda split: root / {"val": "valid"}.get(split, split))
    _voc_files(lambda split: root / {"val": "valid"}.get(split, split))


def _cvat_voc(root: Path) -> None:
    """With labelmap.txt, whose order is that of the classes."""
    _images(lambda split: root / "JPEGImages" / split)
    _voc_files(lambda split: root / "Annotations" / split)
    _lists(root / "ImageSets/Main")
    lines = ["# label:color_rgb:parts:actions\n", "background:0,0,0::\n", "fox:1,2,3::\n", "dog:::\n", "cat:::\n"]
    (root / "labelmap.txt").write_text("".join(lines))


@pytest.mark.parametrize(
    ("layout", "names"), [(_challenge, NAMES), (_roboflow_voc, NAMES), (_cvat_voc, ["fox", "dog", "cat"])]
)
def test_pascal_voc_is_read_as_it_is(
    layout: Callable[[Path], None], names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout(tmp_path / "voc")
    dataset = materialise(str(tmp_path / "voc"), tmp_path / "workspace", BOXES)
    assert dataset.names == names
    _assert_objects(dataset, names)
    assert "Format: Pascal VOC XML (9 files)" in capsys.readouterr().out


def test_files_of_the_challenge_count_pixels_as_ultralytics_conversion_of_them_does(tmp_path: Path) -> None:
    start_ultralytics()
    from ultralytics.utils import ROOT

    script = yaml.safe_load((ROOT / "cfg/datasets/VOC.yaml").read_text(encoding="utf-8"))["download"]
    content: dict[str, Any] = {"yaml": {"names": dict(enumerate(NAMES))}}
    exec(script.partition("# Download")[0], content)  # noqa: S102 - the function `convert_label`
    _images(lambda split: tmp_path / "voc/JPEGImages")
    _voc_files(lambda split: tmp_path / "voc/Annotations", source="PASCAL VOC2007")
    _lists(tmp_path / "voc/ImageSets/Main")
    shutil.copytree(tmp_path / "voc/Annotations", tmp_path / "VOC2007/Annotations")
    dataset = materialise(str(tmp_path / "voc"), tmp_path / "workspace", BOXES)
    for name, rows in our_boxes(dataset.splits["val"], 3).items():
        target = tmp_path / "converted.txt"
        content["convert_label"](tmp_path, target, "2007", Path(name).stem)
        expected = sorted(tuple(map(float, row.split())) for row in target.read_text().splitlines())
        assert_same({name: rows}, {name: expected})


def test_objects_marked_difficult_are_left_out_and_said(tmp_path: Path) -> None:
    _labelimg_voc(tmp_path / "voc")
    file = tmp_path / "voc/t1.xml"
    file.write_text(file.read_text().replace("<difficult>0<", "<difficult>1<"))
    dataset = materialise(str(tmp_path / "voc"), tmp_path / "workspace", BOXES)
    found = our_boxes([sample for samples in dataset.splits.values() for sample in samples], 3)
    assert found["t1.png"] == [] and len(found["t2.png"]) == 2
    assert any("difficult" in warning and "t1.xml" in warning for warning in dataset.summary["warnings"])


def _cvat_yolo(root: Path) -> None:
    """CVAT's "YOLO 1.1": obj.data, obj.names, and lists whose paths start with a folder that is not there."""
    names = {"train": "train", "val": "valid"}
    _images(lambda split: root / f"obj_{names[split]}_data")
    _yolo_files(lambda split: root / f"obj_{names[split]}_data")
    (root / "obj.names").write_text("".join(f"{name}\n" for name in NAMES))
    (root / "obj.data").write_text(
        "classes = 3\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    )
    for split, name in names.items():
        lines = [f"data/obj_{name}_data/{image}\n" for image in OBJECTS[split]]
        (root / f"{name}.txt").write_text("".join(lines))


def _cvat_ultralytics(root: Path) -> None:
    _images(lambda split: root / "images" / split)
    _yolo_files(lambda split: root / "labels" / split)
    for split in COUNTS:
        (root / f"{split}.txt").write_text("".join(f"images/{split}/{name}\n" for name in OBJECTS[split]))
    data = {"path": "./", "train": "train.txt", "val": "val.txt", "names": dict(enumerate(NAMES))}
    (root / "data.yaml").write_text(yaml.safe_dump(data))


def _folders(root: Path) -> None:
    """classes.txt, and folders by split."""
    _images(lambda split: root / "images" / split)
    _yolo_files(lambda split: root / "labels" / split)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))


@pytest.mark.parametrize("layout", [_cvat_yolo, _cvat_ultralytics, _folders])
def test_yolo_without_data_yaml_is_read(layout: Callable[[Path], None], tmp_path: Path) -> None:
    layout(tmp_path / "yolo")
    dataset = materialise(str(tmp_path / "yolo"), tmp_path / "workspace", BOXES)
    assert dataset.names == NAMES
    _assert_objects(dataset)


@pytest.mark.parametrize("layout", [_cvat_coco, _challenge, _cvat_voc, _cvat_yolo, _cvat_ultralytics])
def test_names_are_the_same_however_a_tool_writes_their_accents(
    layout: Callable[[Path], object], tmp_path: Path
) -> None:
    root, together, apart = tmp_path / "export", *(unicodedata.normalize(form, "Wölfin") for form in ("NFC", "NFD"))
    layout(root)
    texts = [path for path in sorted(root.rglob("*")) if path.suffix in (".json", ".xml", ".txt", ".yaml", ".names")]
    for number, path in enumerate(texts):  # Pascal VOC: an image's file may have the one, the next the other
        form = together if path.suffix == ".xml" and number % 2 else apart
        path.write_text(path.read_text(encoding="utf-8").replace("fox", form), encoding="utf-8")
    names = materialise(str(root), tmp_path / "workspace", BOXES).names
    assert sorted(names) == sorted([together, "cat", "dog"])


@pytest.mark.parametrize("layout", [_cvat_coco, _cvat_voc, _cvat_yolo])
def test_an_export_is_read_from_its_zip(layout: Callable[[Path], object], tmp_path: Path) -> None:
    layout(tmp_path / "export")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "export")
    from_zip = materialise(archive, tmp_path / "one", BOXES)
    assert len(from_zip.splits["val"]) == 3
    assert from_zip.summary["splits"]["val"]["boxes"] == sum(map(len, OBJECTS["val"].values()))


def test_a_coco_file_may_be_named_itself(tmp_path: Path) -> None:
    _label_studio_coco(tmp_path / "export")
    dataset = materialise(str(tmp_path / "export/result.json"), tmp_path / "workspace", BOXES)
    assert dataset.summary["format"] == "COCO JSON (result.json)"


def _without_bbox(content: dict[str, Any]) -> None:
    for entry in content["annotations"]:
        del entry["bbox"]


def test_boxes_around_polygons_are_taken_where_coco_has_no_boxes(tmp_path: Path) -> None:
    _cvat_coco(tmp_path / "coco")
    content = _coco("train")
    _without_bbox(content)
    _write_json(tmp_path / "coco/annotations/instances_train.json", content)
    _assert_objects(materialise(str(tmp_path / "coco"), tmp_path / "workspace", BOXES))


def _other_classes(root: Path) -> None:
    content = _coco("val")
    content["categories"][0]["name"] = "wolf"
    _write_json(root / "annotations/instances_val.json", content)


def _lost_image(root: Path) -> None:
    (root / "images/t1.png").unlink()


def _lying(root: Path) -> None:
    write_image(root / "images/t1.png", 77, SIZE[::-1])


def _unknown_category(root: Path) -> None:
    content = _coco("train")
    content["annotations"][0]["category_id"] = 9
    _write_json(root / "annotations/instances_train.json", content)


def _two_of_a_split(root: Path) -> None:
    _write_json(root / "annotations/more_train.json", _coco("train"))
    (root / "annotations/instances_train.json").rename(root / "annotations/first_train.json")
    (root / "annotations/instances_val.json").unlink()


def _not_json(root: Path) -> None:
    file = root / "annotations/instances_train.json"
    file.write_text(file.read_text()[:-1] + ",")


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "other classes": (_other_classes, "do not have the same categories"),
    "lost image": (_lost_image, "Missing images (1): t1.png (named in annotations/instances_train.json)"),
    "lying image": (_lying, "images/t1.png (48×64 upright, annotated as 64×48)"),
    "unknown category": (_unknown_category, "category 9"),
    "two of a split": (_two_of_a_split, "are both annotations of train"),
    "not JSON": (_not_json, "annotations/instances_train.json is not JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_coco_dataset_is_refused_by_name(case: str, tmp_path: Path) -> None:
    damage, message = BROKEN[case]
    _cvat_coco(tmp_path / "coco")
    damage(tmp_path / "coco")
    assert message in refusal(tmp_path / "coco", tmp_path / "workspace")


OTHERS = {
    "CVAT's own XML": (
        "annotations.xml",
        '<?xml version="1.0"?><annotations><meta></meta><image id="0"/></annotations>',
    ),
    "Label Studio's own JSON": ("project-1.json", '[{"id": 1, "annotations": [{"result": []}]}]'),
    "Labelme's JSON": ("a.json", '{"version": "5", "shapes": [], "imagePath": "a.png"}'),
    "CreateML's JSON": ("a.json", '[{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {}}]}]'),
    "a table (CSV)": ("_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n"),
    "LabelMe's XML": (
        "a.xml",
        "<annotation>\n  <filename/><source><sourceAnnotation>Datumaro</sourceAnnotation></source>",
    ),
    "Datumaro's own JSON": ("a.json", '{"dm_format_version": "1.0", "infos": {}, "categories": {}, "items": []}'),
    "VGG Image Annotator's JSON": ("via.json", '{"a.png5620": {"regions": [{"shape_attributes": {"name": "rect"}}]}}'),
    "Hugging Face's imagefolder (metadata.jsonl)": (
        "metadata.jsonl",
        '{"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": [0]}}\n',
    ),
    "Label Studio's own table (CSV)": ("a.csv", '"annotation_id","image"\n1,"[{""x"":1,""original_width"":100}]"\n'),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_format_that_is_not_read_is_named_with_the_way_out(name: str, tmp_path: Path) -> None:
    file, content = OTHERS[name]
    _images(lambda split: tmp_path / "other/images")
    (tmp_path / "other" / file).write_text(content)
    message = refusal(tmp_path / "other", tmp_path / "workspace")
    assert f"The dataset is {name} ({file})" in message and "as YOLO, COCO or Pascal VOC" in message


def test_a_voc_file_that_is_broken_is_named(tmp_path: Path) -> None:
    _labelimg_voc(tmp_path / "voc")
    (tmp_path / "voc/t1.xml").write_text("<annotation><size>")
    (tmp_path / "voc/t2.png").unlink()
    message = refusal(tmp_path / "voc", tmp_path / "workspace")
    assert "Pascal VOC files that cannot be read (1): t1.xml" in message
    assert "t2.png (named in t2.xml)" in message


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_train2017.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("annotations/instances_Test.json", "test"),
        ("train/val.json", "val"),
        ("restraint/0.json", None),
        ("train_val.json", None),
    ],
)
def test_splits_are_told_by_whole_words(name: str, split: str | None) -> None:
    from trainer.datasets.split_names import split_of_path

    assert split_of_path(name) == split


def test_images_whose_names_differ_in_the_suffix_alone_need_the_same_labels(tmp_path: Path) -> None:
    """Ultralytics keeps the labels of both in one file."""
    _cvat_coco(tmp_path / "coco")
    content = _coco("train")
    (tmp_path / "coco/images/t1.png").rename(tmp_path / "coco/images/t2.jpg")
    content["images"][1]["file_name"] = "t2.jpg"
    _write_json(tmp_path / "coco/annotations/instances_train.json", content)
    message = refusal(tmp_path / "coco", tmp_path / "workspace")
    assert "one name and other labels" in message and "images/t2.png and images/t2.jpg" in message


def test_images_that_would_be_one_file_in_the_copy_are_refused(tmp_path: Path) -> None:
    _labelimg_yolo(tmp_path / "export")
    write_image(tmp_path / "export/images/t1.png", 99, SIZE)
    message = refusal(tmp_path / "export", tmp_path / "workspace")
    assert "Two images of the dataset would be stored as images/t1.png" in message
