"""Picture files in, boxes in their pixels out."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from yolo_client import Detector, Protocol, RequestRefused
from yolo_client.letterbox import Floats

from tests.integration.serving.pictures import file, red
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")

# What the toy finds in a letterbox of 64: class 0 in [12, 20, 28, 28] as surely as it is red on average.
RED_BOX = [12, 20, 28, 28]


@pytest.fixture(params=["http", "grpc"])
def toy_encoded(serving: Triton, request: pytest.FixtureRequest) -> Iterator[Detector]:
    """A client of the toy that takes picture files."""
    protocol: Protocol = request.param
    with Detector(serving.http if protocol == "http" else serving.grpc, "toy_encoded", protocol) as client:
        yield client


def animation() -> bytes:
    """An animated WebP whose first frame is red."""
    return file(red(), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 64), (0, 255, 0))], lossless=True)


def cmyk() -> bytes:
    """A red JPEG in CMYK."""
    return file(Image.new("CMYK", (64, 64), (25, 255, 255, 0)), "JPEG", quality=100)


def deep(value: int) -> bytes:
    """A grey PNG of 16 bits."""
    return file(Image.fromarray(np.full((64, 64), value * 257, np.uint16)))


GOOD: dict[str, tuple[Callable[[], bytes], float]] = {
    "PNG": (lambda: file(red()), 0.9),
    "JPEG": (lambda: file(red(), "JPEG", quality=100), 0.9),
    "progressive JPEG": (lambda: file(red(), "JPEG", quality=100, progressive=True), 0.9),
    "WebP": (lambda: file(red(), "WEBP", lossless=True), 0.9),
    "animated WebP": (animation, 0.9),
    "CMYK": (cmyk, 0.9),
    "grey": (lambda: file(Image.new("L", (64, 64), 128), "JPEG", quality=100), 0.5),
    "palette": (lambda: file(red().quantize(4)), 0.9),
    "transparent": (lambda: file(Image.new("RGBA", (64, 64), (230, 0, 0, 10))), 0.9),
    "16 bits": (lambda: deep(128), 0.5),
    "1x1": (lambda: file(red(1, 1)), 0.9),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_picture(toy_encoded: Detector, name: str) -> None:
    make, confidence = GOOD[name]
    (rows,) = toy_encoded.detect_encoded([make()])
    found = rows[rows[:, 5] == 0]
    assert found[0, 4] == pytest.approx(confidence, abs=0.02)


def test_boxes_are_in_pixels_of_each_picture_of_a_batch(toy_encoded: Detector) -> None:
    # 256x128 becomes 64x32: no padding, a quarter of the size. 100x200 becomes 32x64.
    pictures = [red(), red(256, 128), red(128, 256, value=128), red(), Image.new("RGB", (64, 64))]
    found = toy_encoded.detect_encoded([file(picture) for picture in pictures])
    np.testing.assert_allclose(found[0], [[*RED_BOX, 0.902, 0]], atol=1e-3)
    np.testing.assert_allclose(found[1], [[48, 80, 112, 112, 0.902, 0]], atol=1e-3)
    np.testing.assert_allclose(found[2], [[48, 80, 112, 112, 0.502, 0]], atol=1e-3)
    np.testing.assert_array_equal(found[3], found[0])
    assert found[4].shape == (0, 6)


def test_more_pictures_than_one_batch_takes(toy_encoded: Detector) -> None:
    values = np.linspace(80, 250, 19).astype(int)
    found = toy_encoded.detect_encoded([file(red(value=int(value))) for value in values])
    np.testing.assert_allclose([rows[0, 4] for rows in found], values / 255, atol=1e-3)


def test_exif_says_what_is_up(toy_encoded: Detector) -> None:
    # Stored lying, 128 wide; shown upright, 64 wide and 128 high: a letterbox of 32x64, twice as small.
    exif = Image.Exif()
    exif[0x0112] = 6
    (rows,) = toy_encoded.detect_encoded([file(red(128, 64), "JPEG", quality=100, exif=exif)])
    np.testing.assert_allclose(rows[0, :4], [24, 40, 56, 56], atol=1e-3)


def test_thresholds(toy_encoded: Detector) -> None:
    picture = file(Image.new("RGB", (64, 64), (51, 153, 0)))
    counts = [len(toy_encoded.detect_encoded([picture], confidence=least)[0]) for least in (None, 0.1, 0.5, 0.7)]
    assert counts == [1, 2, 1, 0]
    with pytest.raises(
        RequestRefused, match=r"(400|INVALID_ARGUMENT).*'confidence' is '2\.0', but must be a number from 0 to 1"
    ):
        toy_encoded.detect_encoded([picture], confidence=2)


def huge() -> bytes:
    """A PNG whose header says 20,000 x 20,000."""
    content = bytearray(file(red()))
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return bytes(content)


def noise() -> Image.Image:
    """A picture that does not compress to nothing."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the picture is empty"),
    "text": (lambda: b"hello, I am no picture", "is not a JPEG, PNG or WebP"),
    "GIF": (lambda: file(red(), "GIF"), "is not a JPEG, PNG or WebP"),
    "half a JPEG": (lambda: (content := file(noise(), "JPEG"))[: len(content) // 2], "ends too early"),
    "half a progressive JPEG": (
        lambda: (content := file(noise(), "JPEG", progressive=True))[: len(content) * 2 // 3],
        "ends too early",
    ),
    "half a PNG": (lambda: (content := file(noise()))[: len(content) // 2], "ends too early"),
    "half a WebP": (lambda: (content := file(noise(), "WEBP"))[: len(content) // 2], "damaged|ends too early"),
    "a PNG's first bytes": (lambda: file(red())[:12], "damaged"),
    "a JPEG's first bytes": (lambda: b"\xff\xd8\xff\xe0\x00\x10", "damaged"),
    "20,000x20,000": (huge, "20000x20000 pixels, 400 million, but at most 40 million are decoded"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures_are_refused_with_their_reason(toy_encoded: Detector, name: str) -> None:
    make, reason = BAD[name]
    with pytest.raises(RequestRefused, match=reason):
        toy_encoded.detect_encoded([make()])
    assert len(toy_encoded.detect_encoded([file(red())])[0]) == 1


def test_the_bad_one_of_a_batch_is_named(toy_encoded: Detector) -> None:
    with pytest.raises(RequestRefused, match="picture 2 of 3 is empty"):
        toy_encoded.detect_encoded([file(red()), b"", file(red())])


def test_bad_pictures_among_good_ones_fail_alone(serving: Triton) -> None:
    good, bad = file(red()), file(red())[:50]

    def ask(number: int) -> str:
        with Detector(serving.http, "toy_encoded") as client:
            try:
                return f"{len(client.detect_encoded([bad if number % 3 == 0 else good])[0])} box"
            except RequestRefused:
                return "refused"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(60)))
    assert found == ["refused" if number % 3 == 0 else "1 box" for number in range(60)]


def test_random_damage_is_an_error_or_an_answer_and_never_the_end(toy_encoded: Detector) -> None:
    random = np.random.default_rng(7)
    files = [file(noise(), kind) for kind in ("PNG", "JPEG", "WEBP")]
    outcomes = {"answered": 0, "refused": 0}
    for round_number in range(150):
        content = bytearray(files[round_number % 3])
        for place in random.integers(0, len(content), random.integers(1, 12)):
            content[place] = random.integers(0, 256)
        try:
            toy_encoded.detect_encoded([bytes(content)])
            outcomes["answered"] += 1
        except RequestRefused:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, f"the damage is all of one kind: {outcomes}"
    assert len(toy_encoded.detect_encoded([file(red())])[0]) == 1


def test_the_same_boxes_as_for_the_letterboxed_tensor(
    serving: Triton, expected: Callable[[str, int], tuple[Floats, list[Floats]]]
) -> None:
    images, _ = expected("yolo11n", 160)
    pixels = np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    with Detector(serving.http, "yolo11n") as tensors, Detector(serving.http, "yolo11n_encoded") as encoded:
        by_tensor = tensors.detect(list(pixels))
        by_file = encoded.detect_encoded([file(Image.fromarray(each)) for each in pixels])
    for ours, theirs in zip(by_file, by_tensor, strict=True):
        assert len(ours) == len(theirs) > 20
        np.testing.assert_allclose(ours, theirs, atol=0.02)


@pytest.mark.parametrize(("model", "size"), [("yolo26n_encoded", (40, 200)), ("fixed_encoded", (50, 90))])
def test_models_that_need_a_certain_size(serving: Triton, model: str, size: tuple[int, int]) -> None:
    """An end-to-end model needs enough anchors for its 300 rows, a fixed export its own size: a square then."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    with Detector(serving.http, model) as client:
        (rows,) = client.detect_encoded([file(picture)], confidence=0.01)
    assert len(rows) > 0
    assert rows[:, :4].min() >= 0 and rows[:, [0, 2]].max() <= size[1] and rows[:, [1, 3]].max() <= size[0]
