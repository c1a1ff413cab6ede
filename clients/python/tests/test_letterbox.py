"""The letterbox is Ultralytics' own, to within a grey level."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yolo_client.letterbox import Pixels, letterbox, resize

ROOT = Path(__file__).resolve().parents[3]
TRAINER_PYTHON = ROOT / ".venv" / "trainer" / "bin" / "python"

REFERENCE = """
import sys
import numpy as np
from ultralytics.data.augment import LetterBox
from ultralytics.utils.ops import scale_boxes
source, target = sys.argv[1:]
results = {}
with np.load(source) as arrays:
    for key in arrays.files:
        size = int(key.split("_")[1])
        image = arrays[key]
        results[key] = LetterBox((size, size), auto=False)(image=image)
        box = np.array([[10, 20, size - 30, size - 5]], np.float32)
        results["box_" + key] = scale_boxes((size, size), box, image.shape[:2])
np.savez(target, **results)
"""

SHAPES = [(480, 640), (427, 640), (1080, 1920), (37, 53), (160, 160), (500, 333), (1, 1), (900, 5), (161, 160)]
SIDES = st.integers(1, 10).map(lambda count: count * 32)


def picture(height: int, width: int) -> Pixels:
    """A picture with structure and noise."""
    random = np.random.default_rng(height * 10_000 + width)
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(rows / 9)[..., None] * np.cos(columns / 7)[..., None] * np.array([1, -1, 0.5])
    noisy: Pixels = np.clip(waves + random.normal(0, 15, (height, width, 3)), 0, 255).astype(np.uint8)
    return noisy


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What Ultralytics makes of the pictures."""
    folder = tmp_path_factory.mktemp("letterbox")
    pictures = {f"{height}x{width}_{size}": picture(height, width) for height, width in SHAPES for size in (160, 640)}
    np.savez(folder / "in.npz", **pictures)  # type: ignore[arg-type]
    command = [str(TRAINER_PYTHON), "-c", REFERENCE, str(folder / "in.npz"), str(folder / "out.npz")]
    environment = {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "HOME": str(folder)}
    subprocess.run(command, check=True, timeout=300, env=environment)
    with np.load(folder / "out.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("size", [160, 640])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_same_pixels_and_same_boxes_as_ultralytics(
    reference: dict[str, np.ndarray], shape: tuple[int, int], size: int
) -> None:
    key = f"{shape[0]}x{shape[1]}_{size}"
    tensor, place = letterbox(picture(*shape), size)
    assert tensor.shape == (3, size, size) and tensor.dtype == np.dtype(np.float32)
    ours = np.rint(tensor.transpose(1, 2, 0) * 255).astype(int)
    difference = np.abs(ours - reference[key])
    assert difference.max() <= 1
    assert difference.mean() < 0.01, "rounding may differ here and there, not everywhere"
    rows = np.array([[10, 20, size - 30, size - 5, 0.5, 3]], np.float32)
    np.testing.assert_allclose(place.to_original(rows)[:, :4], reference["box_" + key], atol=1e-3)


@given(st.integers(1, 400), st.integers(1, 400), SIDES, SIDES)
def test_the_way_there_and_back(height: int, width: int, full_height: int, full_width: int) -> None:
    tensor, place = letterbox(np.zeros((height, width, 3), np.uint8), (full_height, full_width))
    assert tensor.shape == (3, full_height, full_width)
    corners = np.array([[0, 0, width, height, 0.9, 1]], np.float32)
    there = corners.copy()
    there[:, [0, 2]] = corners[:, [0, 2]] * place.scale_x + place.left
    there[:, [1, 3]] = corners[:, [1, 3]] * place.scale_y + place.top
    np.testing.assert_allclose(place.to_original(there), corners, atol=0.01)
    inside = tensor[:, place.top : round(there[0, 3]), place.left : round(there[0, 2])]
    assert inside.size and not inside.any(), "the black picture is where the placement says"
    assert np.count_nonzero(tensor == 0) == inside.size, "and nowhere else"


def test_boxes_are_clipped_to_the_picture() -> None:
    _, place = letterbox(np.zeros((100, 200, 3), np.uint8), 160)
    rows = place.to_original(np.array([[-50, -50, 500, 500, 0.5, 0]], np.float32))
    np.testing.assert_array_equal(rows[0, :4], [0, 0, 200, 100])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        letterbox(image, 160)


def test_resize_to_the_same_size_changes_nothing() -> None:
    image = picture(20, 30)
    np.testing.assert_array_equal(resize(image, 30, 20), image)
