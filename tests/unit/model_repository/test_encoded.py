"""Decoding and letterboxing of picture files: the pixels that Ultralytics' own predictor would see."""

import io
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from detector.letterbox import Target, letterbox
from encoded_images.decode import PictureError, decode
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"

REFERENCE = """
import sys
import cv2
import numpy as np
from ultralytics.data.augment import LetterBox
from ultralytics.utils.ops import scale_boxes
source, target = sys.argv[1:]
results = {}
with np.load(source) as arrays:
    for key in arrays.files:
        image = cv2.imdecode(arrays[key], cv2.IMREAD_COLOR)
        boxed = LetterBox((160, 160), auto=True, stride=32)(image=image)
        results["pixels_" + key] = boxed[..., ::-1].transpose(2, 0, 1)
        box = np.array([[3, 4, 100, 90]], np.float32)
        results["box_" + key] = scale_boxes(boxed.shape[:2], box, image.shape[:2])
np.savez(target, **results)
"""

ANY = Target(size=160, stride=32, height=None, width=None, least_anchors=0)
SIZES = [(480, 640), (640, 480), (160, 160), (37, 53), (50, 500), (1, 1), (333, 500)]


def picture(height: int, width: int) -> Image.Image:
    """A picture with structure and noise."""
    random = np.random.default_rng(height * 10_000 + width)
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(rows / 9)[..., None] * np.cos(columns / 7)[..., None] * np.array([1, -1, 0.5])
    return Image.fromarray(np.clip(waves + random.normal(0, 15, (height, width, 3)), 0, 255).astype(np.uint8))


def files() -> dict[str, bytes]:
    """Pictures of several sizes, as JPEG and as PNG."""
    found = {}
    for kind, options in (("JPEG", {"quality": 90}), ("PNG", {})):
        for height, width in SIZES:
            content = io.BytesIO()
            picture(height, width).save(content, kind, **options)  # type: ignore[arg-type]
            found[f"{kind}_{height}x{width}"] = content.getvalue()
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray[Any, Any]]:
    """What Ultralytics makes of the files."""
    folder = tmp_path_factory.mktemp("encoded")
    np.savez(folder / "in.npz", **{key: np.frombuffer(content, np.uint8) for key, content in files().items()})
    command = [str(TRAINER_PYTHON), "-c", REFERENCE, str(folder / "in.npz"), str(folder / "out.npz")]
    environment = {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "HOME": str(folder)}
    subprocess.run(command, check=True, timeout=300, env=environment)
    with np.load(folder / "out.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", files())
def test_the_same_pixels_and_boxes_as_ultralytics(reference: dict[str, np.ndarray[Any, Any]], name: str) -> None:
    boxed = letterbox(decode(files()[name], 10**7), ANY)
    theirs = reference[f"pixels_{name}"]
    assert boxed.pixels.shape == theirs.shape
    difference = np.abs(boxed.pixels.astype(int) - theirs)
    # Two builds of the JPEG library may round differently.
    assert difference.max() <= (3 if name.startswith("JPEG") else 0)
    rows = np.array([[3, 4, 100, 90, 0.5, 1]], np.float32)
    np.testing.assert_allclose(boxed.to_original(rows)[:, :4], reference[f"box_{name}"], atol=1e-3)


@pytest.mark.parametrize(
    ("target", "size", "shape"),
    [
        (Target(640, 32, None, None, 0), (480, 640), (480, 640)),
        (Target(640, 32, None, None, 0), (1080, 1920), (384, 640)),
        (Target(160, 32, None, None, 300), (1, 1000), (160, 160)),
        (Target(640, 32, None, None, 300), (480, 640), (480, 640)),
        (Target(640, 32, 320, 320, 0), (480, 640), (320, 320)),
        (Target(640, 64, None, None, 0), (480, 640), (512, 640)),
    ],
)
def test_the_shape_of_the_letterbox(target: Target, size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert target.shape(*size) == shape
    assert letterbox(np.zeros((*size, 3), np.uint8), target).pixels.shape == (3, *shape)


def test_the_pixel_limit_is_the_callers() -> None:
    content = files()["PNG_480x640"]
    assert decode(content, 480 * 640).shape == (480, 640, 3)
    with pytest.raises(PictureError, match=r"is 640x480 pixels, 0 million, but at most 0\.307199 million"):
        decode(content, 480 * 640 - 1)


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """A JPEG file."""
    content = io.BytesIO()
    image.save(content, "JPEG", **options)
    return content.getvalue()


def turned(orientation: int) -> Image.Exif:
    """EXIF that says how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


JPEGS = {
    "4:2:0": jpeg(picture(123, 321), quality=90),
    "4:4:4": jpeg(picture(123, 321), quality=95, subsampling=0),
    "4:2:2, progressive": jpeg(picture(123, 321), quality=50, subsampling=1, progressive=True),
    "grey": jpeg(picture(123, 321).convert("L")),
    "CMYK": jpeg(picture(123, 321).convert("CMYK")),
    "RGB": jpeg(picture(123, 321), keep_rgb=True),
    "EXIF, as it is": jpeg(picture(123, 321), exif=turned(1)),
    "EXIF, turned": jpeg(picture(123, 321), exif=turned(6)),
    "EXIF, damaged": jpeg(picture(123, 321), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "bytes after its end": jpeg(picture(123, 321)) + bytes(1000),
    "damaged": jpeg(picture(123, 321))[:3000] + bytes(50) + jpeg(picture(123, 321))[3050:],
}


@pytest.mark.parametrize("name", ["4:2:0", "4:2:2, progressive", "grey", "CMYK", "EXIF, turned", "EXIF, damaged"])
def test_a_motion_photo_is_its_picture(name: str) -> None:
    """A sound JPEG, and behind it megabytes in which any marker occurs."""
    alone = decode(JPEGS[name], 10**6)
    for seed in range(40):
        random = np.random.default_rng(seed)
        marks = [b"\xff\xd9", b"\xff\xd8\xff", b"\xff\xda", JPEGS["4:4:4"]]
        random.shuffle(marks)
        video = b"".join(random.bytes(int(random.integers(1, 300_000))) + mark for mark in marks) + random.bytes(9)
        np.testing.assert_array_equal(decode(JPEGS[name] + video, 10**6), alone)
        with pytest.raises(PictureError, match="ends too early"):
            decode(JPEGS[name][:-2], 10**6)


def test_a_photo_with_a_second_one_behind_it_is_the_first() -> None:
    """As 3D cameras and phones with a depth map write them (MPF)."""
    content = io.BytesIO()
    picture(123, 321).save(content, "MPO", save_all=True, append_images=[picture(60, 80)])
    assert decode(content.getvalue(), 10**6).shape == (123, 321, 3)


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_has_the_pixels_that_opencv_finds(name: str) -> None:
    theirs = cv2.imdecode(np.frombuffer(JPEGS[name], np.uint8), cv2.IMREAD_COLOR_RGB)
    ours = decode(JPEGS[name], 10**6)
    assert ours.shape == ((321, 123, 3) if "turned" in name else (123, 321, 3))
    np.testing.assert_array_equal(ours, theirs)


def test_what_most_jpegs_are_is_decoded_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    for name in ("4:2:0", "4:4:4", "4:2:2, progressive", "EXIF, as it is", "bytes after its end"):
        assert decode(JPEGS[name], 10**6).shape == (123, 321, 3)


@pytest.mark.parametrize("left", [0, 7])
def test_padding_is_around_the_picture(left: int) -> None:
    image = np.asarray(picture(64, 64 - 2 * left))
    boxed = letterbox(image, Target(64, 64, None, None, 0))
    np.testing.assert_array_equal(boxed.pixels[:, :, left : 64 - left], image.transpose(2, 0, 1))
    assert (np.delete(boxed.pixels, np.s_[left : 64 - left], axis=2) == 114).all()
