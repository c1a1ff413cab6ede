"""Image files as cameras, phones and broken downloads make them, and the copy that no training changes."""

from __future__ import annotations

import importlib
import io
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from oracle import refusal, start_ultralytics, ultralytics_boxes, untouched
from PIL import Image
from trainer.datasets.cache import materialise
from trainer.datasets.image_file import BadImage, inspect, trimmed
from trainer.pictures import decode_rgb
from trainer.tasks.detect.labelling import BOXES

from conftest import ROW, MakeTree


def _picture(seed: int = 0, size: tuple[int, int] = (64, 48)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size)


def _encoded(kind: str, picture: Image.Image | None = None, **options: object) -> bytes:
    content = io.BytesIO()
    (picture or _picture()).save(content, kind, **options)  # type: ignore[arg-type]
    return content.getvalue()


def _with_thumbnail() -> bytes:
    """A JPEG whose EXIF data hold a whole JPEG with an end marker."""
    small = _encoded("JPEG", _picture(1, (16, 16)))
    segment = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + small
    plain = _encoded("JPEG")
    return plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]


WHOLE: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: _encoded("JPEG"),
    "progressive": lambda: _encoded("JPEG", progressive=True),
    "grey": lambda: _encoded("JPEG", _picture().convert("L")),
    "restart markers": lambda: _encoded("JPEG", restart_marker_blocks=2),
    "thumbnail": _with_thumbnail,
    "comment with an end marker": lambda: _encoded("JPEG", comment=b"\xff\xd9\xff\xda"),
}
BEHIND: dict[str, bytes] = {
    "video": b"\0\0\0\x18ftypmp42" + random.Random(1).randbytes(5000),
    "end markers": b"\xff\xd9\xff\xda\xff\xd9",
    "zeros": bytes(700),
    "a line": b"\r\n",
    "another JPEG": b"JPEG",
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("kind", WHOLE)
def test_what_follows_a_jpeg_is_cut_off(kind: str, behind: str) -> None:
    whole = WHOLE[kind]()
    more = WHOLE["progressive"]() if behind == "another JPEG" else BEHIND[behind]
    assert trimmed(whole, inspect(whole, "0.jpg").kept) == whole
    found = inspect(whole + more, "0.jpg")
    assert found.size == (64, 48)
    # Training takes a file that ends with an end marker for whole, and leaves it alone.
    assert trimmed(whole + more, found.kept) == (whole + more if more.endswith(b"\xff\xd9") else whole)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_jpeg_that_breaks_off_is_found_wherever_it_does(kind: str) -> None:
    whole = WHOLE[kind]()
    for length in range(4, len(whole) - 2, 37):
        try:
            found = inspect(whole[:length], "0.jpg")
        except BadImage as error:
            assert error.kind == "unreadable images"
            continue
        # All of its pixels were there: Pillow decodes it, and so does what is kept of it.
        kept = trimmed(whole[:length], found.kept)
        assert kept.endswith(b"\xff\xd9")
        np.testing.assert_array_equal(decode_rgb(kept, tiff=False), decode_rgb(whole, tiff=False))


def test_a_jpeg_that_is_filled_up_with_zeros_gets_an_end_marker() -> None:
    """What an interrupted download leaves: Pillow decodes it, Ultralytics trains on it, and would write it anew."""
    whole = WHOLE["baseline"]()
    broken = whole[: len(whole) * 3 // 4] + bytes(4000)
    kept = trimmed(broken, inspect(broken, "0.jpg").kept)
    assert kept.startswith(broken) and kept.endswith(b"\xff\xd9")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_sizes_are_those_of_the_upright_picture(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = _encoded(kind, exif=exif)
    pixels = decode_rgb(content, tiff=kind == "TIFF")
    assert pixels is not None
    assert inspect(content, f"0.{kind.lower()}").size == (pixels.shape[1], pixels.shape[0])


def test_a_png_with_a_damaged_part_is_found() -> None:
    content = bytearray(_encoded("PNG"))
    content[len(content) // 2] ^= 1
    with pytest.raises(BadImage) as caught:
        inspect(bytes(content), "0.png")
    assert "damaged part (IDAT)" in caught.value.detail


FOREIGN = {
    "GIF": (lambda: _encoded("GIF"), "not an image that is read but GIF"),
    "HTML": (lambda: b"<!DOCTYPE html>\n<html>404</html>", "not an image that is read but HTML"),
    "XML": (lambda: b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "but XML"),
    "pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS"),
    "PDF": (lambda: b"%PDF-1.7 " + bytes(99), "but PDF"),
    "AVIF": (lambda: b"\0\0\0\x1cftypavif" + bytes(99), "but AVIF"),
    "HEIC": (lambda: b"\0\0\0\x1cftypheic" + bytes(99), "but HEIC"),
    "video": (lambda: b"\0\0\0\x18ftypmp42" + bytes(99), "but a video"),
    "text": (lambda: b"hello", "(not an image)"),
}


def _raw_tiff(values: np.ndarray) -> bytes:
    done, content = cv2.imencode(".tif", values)
    assert done
    return content.tobytes()


PLANE = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)


@pytest.mark.parametrize("patched", [False, True], ids=["Pillow", "Pillow with Ultralytics"])
@pytest.mark.parametrize(
    "content",
    [
        _encoded("TIFF", Image.fromarray(PLANE)),
        _encoded("TIFF", Image.fromarray(np.arange(64 * 48, dtype=np.int32).reshape(48, 64))),
        _raw_tiff(np.dstack([PLANE] * 3)),
        _raw_tiff(np.full((48, 64, 3), -5, np.int8)),
    ],
    ids=["grey of 32-bit floats", "grey of 32 bits", "colour of floats", "colour with a sign"],
)
def test_a_tiff_of_measurements_is_refused_by_its_pixels(content: bytes, patched: bool) -> None:
    if patched:  # Ultralytics puts its own function in place of Pillow's `open`
        start_ultralytics()
        importlib.import_module("ultralytics.utils")
    with pytest.raises(BadImage) as caught:
        inspect(content, "0.tif")
    assert "whose pixels are not whole numbers of 8 or 16 bits without a sign" in caught.value.detail


def test_a_file_that_breaks_off_in_its_header_is_said_to_be_damaged() -> None:
    with pytest.raises(BadImage) as caught:
        inspect(_encoded("BMP")[:16], "0.bmp")
    assert caught.value.detail == "a BMP that is damaged"


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_is_not_what_its_name_says_is_refused_by_its_format(
    case: str, make_tree: MakeTree, tmp_path: Path
) -> None:
    content, words = FOREIGN[case]
    root = make_tree()
    (root / "images/train/9.jpg").write_bytes(content())
    (root / "labels/train/9.txt").write_text(ROW)
    message = refusal(root, tmp_path / "workspace")
    assert "Unreadable images (1): images/train/9.jpg" in message and words in message


def test_images_of_formats_that_are_not_served_are_refused_by_name(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    (root / "images/train/phone.HEIC").write_bytes(b"\0\0\0\x1cftypheic" + bytes(99))
    message = refusal(root, tmp_path / "workspace")
    assert "not served (save them as JPEG or PNG) (1): images/train/phone.HEIC" in message


def _phone_dataset(root: Path) -> None:
    """Motion photos, and what an interrupted download leaves, beside a sound JPEG."""
    for number, behind in enumerate([b"", BEHIND["video"], BEHIND["zeros"], None]):
        whole = _encoded("JPEG", _picture(number + 10), quality=90)
        content = whole[: len(whole) * 3 // 4] + bytes(4000) if behind is None else whole + behind
        (root / f"images/train/p{number}.jpg").write_bytes(content)
        (root / f"labels/train/p{number}.txt").write_text(ROW)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_changes_nothing_in_the_copy(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _phone_dataset(root)
    twin = untouched(root)
    before = _content(twin)
    ultralytics_boxes(twin / "data.yaml", "train")
    changed = {name for name, content in _content(twin).items() if before.get(name) != content}
    assert "images/train/p1.jpg" in changed, "Ultralytics rewrites what it thinks corrupt"

    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    assert any("behind the picture" in warning and "p1.jpg" in warning for warning in dataset.summary["warnings"])
    before = _content(dataset.root)
    start_ultralytics()
    from trainer.training.loop import leave_copies_alone
    from ultralytics.data import dataset as scan

    kept = scan.save_dataset_cache_file
    try:
        leave_copies_alone()
        assert len(ultralytics_boxes(dataset.data_yaml, "train")) == 10
    finally:
        scan.save_dataset_cache_file = kept
    assert _content(dataset.root) == before
    assert materialise(str(root), tmp_path / "workspace", BOXES, expected=dataset.digest) == dataset


def test_the_pixels_of_a_trimmed_jpeg_are_those_of_the_owners_file(make_tree: MakeTree, tmp_path: Path) -> None:
    root = make_tree()
    _phone_dataset(root)
    dataset = materialise(str(root), tmp_path / "workspace", BOXES)
    for sample in dataset.splits["train"]:
        kept, given = (decode_rgb(file.read_bytes(), tiff=False) for file in (sample.image, root / sample.key))
        np.testing.assert_array_equal(kept, given)
