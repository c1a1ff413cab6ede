"""Ultralytics' NDJSON, as its Platform exports it; the oracle is Ultralytics' own conversion, which it trains on."""

from __future__ import annotations

import asyncio
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.errors import InputError, TrainerError
from trainer.tasks.classify.labelling import CLASSES
from trainer.tasks.detect.labelling import BOXES

from conftest import write_image
from tests.unit.trainer.datasets.oracle import (
    Boxes,
    assert_same,
    assert_trained_as_read,
    our_boxes,
    refusal,
    start_ultralytics,
    ultralytics_boxes,
)

SIZE = (64, 48)
COUNTS = {"train": 6, "val": 3, "test": 2}
ROWS = {
    "boxes": [[0, 0.5, 0.5, 0.2, 0.3], [2, 0.25, 0.75, 0.1, 0.1]],
    "segments": [[0, 0.1, 0.1, 0.5, 0.1, 0.5, 0.4], [2, 0.6, 0.6, 0.9, 0.6, 0.9, 0.9, 0.6, 0.8]],
    "obb": [[0, 0.2, 0.1, 0.5, 0.2, 0.4, 0.5, 0.1, 0.4], [2, 0.6, 0.6, 0.9, 0.6, 0.9, 0.9, 0.6, 0.9]],
}


def _records(root: Path, annotations: dict[str, Any], **about: Any) -> list[dict[str, Any]]:
    """The lines of a dataset whose images lie in ``images/<split>/``."""
    first = {"type": "dataset", "task": "detect", "name": "x", "class_names": {"0": "cat", "2": "dog"}, **about}
    lines, seed = [first], 0
    for split, count in COUNTS.items():
        for number in range(count):
            write_image(root / f"images/{split}/{number}.png", seed, SIZE)
            seed += 1
            line = {"type": "image", "file": f"{number}.png", "width": SIZE[0], "height": SIZE[1], "split": split}
            lines.append(line | {"annotations": annotations if number else {}})
    return lines


def _write(root: Path, lines: list[dict[str, Any]]) -> Path:
    file = root / "pets.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def _by_content(dataset: Dataset, split: str) -> Boxes:
    """Boxes by the image's digest: Ultralytics gives the files other names."""
    samples = dataset.splits[split]
    found = our_boxes(samples, len(dataset.names))
    return {hashlib.sha256(each.image.read_bytes()).hexdigest(): found[each.image.name] for each in samples}


def _converted(file: Path, target: Path) -> dict[str, Boxes]:
    """What Ultralytics trains on of the file."""
    start_ultralytics()
    from ultralytics.data.converter import convert_ndjson_to_yolo

    description = asyncio.run(convert_ndjson_to_yolo(file, target))
    images = {path.name: path for path in description.parent.glob("images/*/*.png")}
    return {
        split: {
            hashlib.sha256(images[name].read_bytes()).hexdigest(): rows
            for name, rows in ultralytics_boxes(description, split).items()
        }
        for split in COUNTS
    }


class Server(http.server.ThreadingHTTPServer):
    """It counts its requests."""

    request_queue_size = 64
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's folder, which refuses what has ``expired`` in its address, and fails at ``broken``."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        server: Server

        def do_GET(self) -> None:
            self.server.asked += 1
            if "expired" in self.path:
                self.send_error(403)
            elif "broken" in self.path:
                self.send_error(503)
            else:
                super().do_GET()

        do_HEAD = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    server = Server(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ROWS)
def test_it_is_read_as_ultralytics_converts_it(kind: str, tmp_path: Path) -> None:
    file = _write(tmp_path / "own", _records(tmp_path / "own", {kind: ROWS[kind]}, path="."))
    dataset = materialise(str(file), tmp_path / "workspace", BOXES)
    assert dataset.names == ["cat", "class1", "dog"]
    for split, expected in _converted(file, tmp_path / "theirs").items():
        assert_same(_by_content(dataset, split), expected)
    assert_trained_as_read(dataset)
    whole = materialise(str(tmp_path / "own"), tmp_path / "workspace", BOXES)
    assert whole.digest == dataset.digest, "the folder is the same dataset"


def test_images_are_fetched_from_their_addresses(web: Server, tmp_path: Path) -> None:
    lines = _records(tmp_path / "store", {"boxes": ROWS["boxes"]})
    for line in lines[1:]:
        line["url"] = f"{web.url}/store/images/{line['split']}/{line['file']}?signature=abc"
    (tmp_path / "own").mkdir()
    file = _write(tmp_path / "own", lines)
    local = materialise(str(file), tmp_path / "workspace", BOXES)
    remote = materialise(f"{web.url}/own/pets.ndjson?token=x", tmp_path / "workspace", BOXES)
    assert local.digest == remote.digest
    assert {split: len(samples) for split, samples in remote.splits.items()} == COUNTS
    for split, expected in _converted(file, tmp_path / "theirs").items():
        assert_same(_by_content(remote, split), expected)


def test_addresses_that_have_expired_are_told_with_the_way_out(web: Server, tmp_path: Path) -> None:
    lines = _records(tmp_path / "store", {"boxes": ROWS["boxes"]})
    for line in lines[1:]:
        line["url"] = f"{web.url}/expired/{line['split']}/{line['file']}?signature=abc"
    (tmp_path / "own").mkdir()
    message = refusal(_write(tmp_path / "own", lines), tmp_path / "workspace")
    assert "HTTP 403" in message and "export it again, and trigger the run soon after" in message
    assert "signature" not in message


def test_a_host_that_fails_is_told_after_some_of_its_images(web: Server, tmp_path: Path) -> None:
    lines = _records(tmp_path / "store", {"boxes": ROWS["boxes"]})
    many = [lines[1] | {"file": f"{n}.png", "url": f"{web.url}/broken/{n}.png"} for n in range(400)]
    (tmp_path / "own").mkdir()
    with pytest.raises(TrainerError, match="could not be fetched in 4 attempts"):
        materialise(str(_write(tmp_path / "own", [lines[0], *many])), tmp_path / "workspace", BOXES)
    assert web.asked < 400, "it gave up before it had tried each"


def test_images_beside_the_file_are_found_by_name_and_poses_are_their_boxes(tmp_path: Path) -> None:
    pose = [[0, 0.5, 0.5, 0.2, 0.3, 0.4, 0.4, 2, 0.6, 0.6, 1]]
    lines = _records(tmp_path / "own", {"pose": pose}, task="pose")
    # One name in each split, so that the folders have to tell.
    for line in lines[1:]:
        (tmp_path / f"own/images/{line['split']}/{line['file']}").rename(
            tmp_path / f"own/images/{line['split']}-{line['file']}"
        )
        line["file"] = f"{line['split']}-{line['file']}"
    dataset = materialise(str(_write(tmp_path / "own", lines).parent), tmp_path / "workspace", BOXES)
    found = our_boxes(dataset.splits["train"], len(dataset.names))
    assert found["train-0.png"] == [] and found["train-1.png"] == [(0.0, 0.5, 0.5, 0.2, 0.3)]


def _without_split(lines: list[dict[str, Any]]) -> None:
    lines[1]["split"] = "holdout"


def _folder_in_name(lines: list[dict[str, Any]]) -> None:
    lines[1]["file"] = "../../etc/passwd.png"


def _no_image(lines: list[dict[str, Any]]) -> None:
    lines[1]["file"] = "nowhere.png"


def _other_task(lines: list[dict[str, Any]]) -> None:
    lines[0]["task"] = "classify"


def _outside(lines: list[dict[str, Any]]) -> None:
    lines[0]["path"] = "../store"


def _nothing_listed(lines: list[dict[str, Any]]) -> None:
    del lines[:]


def _no_names(lines: list[dict[str, Any]]) -> None:
    lines[0]["class_names"] = ["cat", "dog"]


def _number_for_rows(lines: list[dict[str, Any]]) -> None:
    lines[1]["annotations"] = {"boxes": 5}


def _broken_address(lines: list[dict[str, Any]]) -> None:
    lines[1] |= {"file": "nowhere.png", "url": "http://[::1/a.png"}


def _endless_name(lines: list[dict[str, Any]]) -> None:
    lines[1]["file"] = "a" * 300 + ".png"


def _null_in_name(lines: list[dict[str, Any]]) -> None:
    lines[1]["file"] = "a\0.png"


BROKEN = {
    "empty file": (_nothing_listed, "pets.ndjson is empty"),
    "no names": (_no_names, "pets.ndjson has no class_names by number in its first line"),
    "number for rows": (_number_for_rows, "Malformed label rows (1): images/train/0.png: row 1"),
    "broken address": (_broken_address, "Missing images (1): nowhere.png"),
    "endless name": (_endless_name, "Images without a file name of their own (1): line 2"),
    "null in a name": (_null_in_name, "Images without a file name of their own (1): line 2"),
    "no split": (_without_split, "Images of no split (one of train, val, test) (1): line 2 of pets.ndjson: 'holdout'"),
    "folder in a name": (_folder_in_name, "Images without a file name of their own (1): line 2 of pets.ndjson"),
    "no image": (_no_image, "Missing images (1): nowhere.png (named in pets.ndjson)"),
    "other task": (_other_task, "pets.ndjson is a dataset of the task classify"),
    "images outside": (_outside, "(named in pets.ndjson)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_told_by_line(case: str, tmp_path: Path) -> None:
    damage, message = BROKEN[case]
    place = tmp_path / ("store" if case == "images outside" else "own")
    lines = _records(place, {"boxes": ROWS["boxes"]}, path=".")
    damage(lines)
    (tmp_path / "own").mkdir(exist_ok=True)
    assert message in refusal(_write(tmp_path / "own", lines), tmp_path / "workspace")


def test_a_line_that_is_not_json_is_told_by_number(tmp_path: Path) -> None:
    file = _write(tmp_path, _records(tmp_path, {"boxes": ROWS["boxes"]}, path="."))
    file.write_text(file.read_text() + '{"type": "image", "file"\n')
    assert "Line 13 of pets.ndjson is not JSON" in refusal(file, tmp_path / "workspace")


def test_classes_are_those_that_ultralytics_trains_on(web: Server, tmp_path: Path) -> None:
    """Numbers have holes, a class has no image, and an image has no class."""
    names = {"1": "unused", "3": "dog", "7": "cat"}
    lines = _records(tmp_path / "own", {}, task="classify", class_names=names, path=".")
    for number, line in enumerate(lines[1:]):
        line["annotations"] = {"classification": [(3, 7)[number % 2]]} if number else {}
    dataset = materialise(str(_write(tmp_path / "own", lines)), tmp_path / "workspace", CLASSES)
    assert dataset.names == ["dog", "cat"]
    assert any("Images without a class" in said for said in dataset.summary["warnings"])
    found = {
        hashlib.sha256(sample.image.read_bytes()).hexdigest(): int(str(sample.rows))
        for samples in dataset.splits.values()
        for sample in samples
    }
    assert found == _converted_classes(web, lines, tmp_path)

    one = [lines[0], *[line for line in lines[1:] if line["annotations"] == {"classification": [3]}]]
    with pytest.raises(InputError, match="are of 1 classes; a classifier needs two or more"):
        materialise(str(_write(tmp_path / "own", one)), tmp_path / "other", CLASSES)


def _converted_classes(web: Server, lines: list[dict[str, Any]], folder: Path) -> dict[str, int]:
    """Numbers of the classes that Ultralytics trains with, by the image's content; it takes addresses alone."""
    start_ultralytics()
    from ultralytics.data.converter import convert_ndjson_to_yolo

    (folder / "addressed").mkdir()
    images = [{**line, "url": f"{web.url}/own/images/{line['split']}/{line['file']}"} for line in lines[1:]]
    file = _write(folder / "addressed", [lines[0], *images])
    converted = asyncio.run(convert_ndjson_to_yolo(file, folder / "theirs"))
    return {
        hashlib.sha256(image.read_bytes()).hexdigest(): int(image.parent.name) for image in converted.glob("*/*/*.png")
    }


def test_several_files_are_refused_by_name(tmp_path: Path) -> None:
    file = _write(tmp_path / "own", _records(tmp_path / "own", {"boxes": ROWS["boxes"]}, path="."))
    (file.parent / "more.ndjson").write_bytes(file.read_bytes())
    message = refusal(tmp_path / "own", tmp_path / "workspace")
    assert "several NDJSON files: more.ndjson, pets.ndjson. Give the address of one of them" in message
