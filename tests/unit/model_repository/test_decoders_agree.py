"""Every decoder sees the same pixels of a file: training, evaluation, quantization, verification, checks and serving.

The files are made and read by the trainer's environment (picture_kinds.py); this server's decoder runs here.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from encoded_images.decode import PictureError, decode

TESTS = Path(__file__).resolve().parent
TRAINER_PYTHON = TESTS.parents[2] / ".venv" / "trainer" / "bin" / "python"
MOST_PIXELS = 40_000_000
SERVED = (".jpg", ".png", ".webp")

KINDS = [
    *("colour.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "colour.png", "grey.png", "transparent.png"),
    *("palette.png", "bits.png", "deep-grey.png", "deep-colour.png", "lossy.webp", "lossless.webp", "colour.bmp"),
    *("colour.tif", "grey.tiff", "deep-grey.tif", "deep-colour.tif", "pages.tif"),
]
TURNED = [f"turned-{number}.{suffix}" for number in range(1, 9) for suffix in ("jpg", "png", "webp", "tif")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, and what the trainer's decoders see of them."""
    folder = tmp_path_factory.mktemp("kinds")
    subprocess.run([str(TRAINER_PYTHON), str(TESTS / "picture_kinds.py"), str(folder)], check=True, timeout=300)
    return folder


def test_all_files_that_were_made_are_tested(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "files").iterdir()) == sorted([*KINDS, *TURNED])


@pytest.mark.parametrize("name", [*KINDS, *TURNED])
def test_evaluation_and_serving_see_what_training_sees(name: str, folder: Path) -> None:
    trained = np.load(folder / f"training/{name}.npy")
    np.testing.assert_array_equal(np.load(folder / f"evaluation/{name}.npy"), trained)
    content = (folder / "files" / name).read_bytes()
    if name.endswith(SERVED):
        np.testing.assert_array_equal(decode(content, MOST_PIXELS), trained)
    else:
        with pytest.raises(PictureError, match="is not a JPEG, PNG or WebP"):
            decode(content, MOST_PIXELS)


@pytest.mark.parametrize("name", TURNED)
def test_a_turned_picture_is_upright_for_everyone(name: str, folder: Path) -> None:
    """Pillow, which has no part in it, turns the same way."""
    upright = np.load(folder / f"pillow/{name}.npy").astype(int)
    trained = np.load(folder / f"training/{name}.npy").astype(int)
    assert trained.shape == upright.shape
    assert np.abs(trained - upright).max() <= 2, "up to the rounding of a JPEG"


def test_sixteen_bits_are_not_clipped_to_white(folder: Path) -> None:
    for name in ("deep-grey.png", "deep-grey.tif"):
        plain, deep = (np.load(folder / f"evaluation/{file}.npy") for file in ("grey.png", name))
        np.testing.assert_array_equal(deep, plain)
