"""Behaviour of which the trainer, the server and the client each keep a copy, run side by side on the same input.

That the copies are Ultralytics' own is tested beside each of them; here, that they are each other's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from detector.postprocess import detections_of
from lifecycle.verification.verify import iou_matrix
from model_server.cpu import cpu_limit
from trainer.runtime import cpu_count
from trainer.served_shapes import letterboxed
from yolo_client.letterbox import letterbox

from tests.contracts.sources import CLASSIFIER, ROOT, SERVER, SHARED, TRAINER, YOLO, constant

HERE = Path(__file__).parent
Arrays = dict[str, np.ndarray]
# (height, width) of pictures whose letterbox is not square.
SIZES = [(480, 640), (640, 480), (1080, 1920), (427, 640), (333, 500), (1, 1000), (640, 640), (31, 33), (4032, 3024)]

# (height, width) of a picture, and of what it is letterboxed to: padded on either side, by odd numbers, not at all.
CASES = {
    "wide": ((48, 64), (160, 160)),
    "tall": ((500, 333), (160, 160)),
    "odd": ((161, 160), (160, 160)),
    "as it is": ((160, 160), (160, 160)),
    "tiny": ((1, 1), (96, 96)),
    "thin": ((900, 5), (160, 160)),
    "oblong": ((427, 640), (192, 256)),
    "large": ((1080, 1920), (640, 640)),
}
# Sides of the squares that classifiers take.
MIDDLES = (28, 64, 161)


def picture(height: int, width: int) -> np.ndarray:
    """A picture with structure and noise."""
    random = np.random.default_rng(height * 10_000 + width)
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(rows / 9)[..., None] * np.cos(columns / 7)[..., None] * np.array([1, -1, 0.5])
    return np.clip(waves + random.normal(0, 15, (height, width, 3)), 0, 255).astype(np.uint8)


def boxes(count: int, seed: int) -> np.ndarray:
    """Boxes x1 y1 x2 y2, many of which overlap; the last is empty."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 60, (count, 2))
    found = np.concatenate([corner, corner + random.uniform(1, 60, (count, 2))], axis=1).astype(np.float32)
    found[-1, 2:] = found[-1, :2]
    return found


def raw(seed: int, classes: int, anchors: int = 525) -> np.ndarray:
    """A raw output of 2 images (2, 4 + classes, anchors): clusters of boxes, so that many are suppressed."""
    random = np.random.default_rng(seed)
    cluster = random.integers(0, 12, (2, anchors))
    centres = random.uniform(20, 140, (2, 12, 2))[np.arange(2)[:, None], cluster] + random.normal(0, 3, (2, anchors, 2))
    sizes = random.uniform(20, 40, (2, anchors, 2))
    scores = random.beta(0.4, 2, (2, classes, anchors))
    return np.concatenate([centres.transpose(0, 2, 1), sizes.transpose(0, 2, 1), scores], axis=1).astype(np.float32)


def inputs() -> Arrays:
    """All that is asked, by the names that in_trainer.py and in_triton.py know."""
    rows = np.sort(np.random.default_rng(5).uniform(0, 160, (1, 300, 6)), axis=1)[:, ::-1].astype(np.float32)
    rows[..., 4] /= 160
    asked = {
        "first": boxes(40, 1),
        "second": boxes(30, 2),
        "sizes": np.array(SIZES),
        "middles": np.array(MIDDLES),
        "corners": np.array([[10, 20, 90, 95, 0.5, 3], [-50, -50, 900, 900, 0.5, 0]], np.float32),
        "raw_one class": raw(3, 1),
        "raw_ten classes": raw(4, 10),
        "raw_end to end": rows,
    }
    for name, (shape, full) in CASES.items():
        asked |= {f"picture_{name}": picture(*shape), f"full_{name}": np.array(full)}
    return asked


def answers(environment: str, packages: Sequence[Path], folder: Path) -> Arrays:
    """What a script makes of the inputs in an image's environment."""
    target = folder / f"{environment}.npz"
    script = HERE / f"in_{environment}.py"
    command = [ROOT / ".venv" / environment / "bin" / "python", script, folder / "in.npz", target]
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, packages)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
    }
    subprocess.run([str(word) for word in command], check=True, timeout=300, env=variables)
    with np.load(target) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def of_trainer(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """What the trainer makes of the inputs."""
    return asked("trainer", [TRAINER.parent], tmp_path_factory)


@pytest.fixture(scope="module")
def of_triton(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """What the model of picture files makes of them."""
    return asked("triton", [SHARED, YOLO, CLASSIFIER], tmp_path_factory)


def asked(environment: str, packages: Sequence[Path], factory: pytest.TempPathFactory) -> Arrays:
    """The answers of an image."""
    folder = factory.mktemp(environment)
    np.savez(folder / "in.npz", **inputs())  # type: ignore[arg-type]
    return answers(environment, packages, folder)


@pytest.mark.parametrize("name", CASES)
def test_a_picture_is_letterboxed_to_the_same_pixels(name: str, of_trainer: Arrays, of_triton: Arrays) -> None:
    shape, full = CASES[name]
    tensor, place = letterbox(picture(*shape), full)
    client = np.rint(tensor.transpose(1, 2, 0) * 255).astype(int)
    for other in (of_trainer, of_triton):
        difference = np.abs(client - other[f"pixels_{name}"])
        assert difference.max() <= 1
        assert difference.mean() < 0.01, "rounding may differ here and there, not everywhere"
    scale, left, top = of_trainer[f"place_{name}"]
    assert (left, top) == (place.left, place.top)
    # The trainer keeps the scale as it is, the others that of the rounded size: half a pixel, from edge to edge.
    assert abs(scale - place.scale_x) * shape[1] <= 0.5 and abs(scale - place.scale_y) * shape[0] <= 0.5


def test_the_trainer_notes_the_shapes_that_the_server_letterboxes_to(of_triton: Arrays) -> None:
    assert [letterboxed(*size, 640) for size in SIZES] == [tuple(shape) for shape in of_triton["shapes"].tolist()]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", MIDDLES)
def test_the_middle_of_a_picture_is_what_ultralytics_classifies(
    name: str, size: int, of_trainer: Arrays, of_triton: Arrays
) -> None:
    theirs, ours = (arrays[f"middle_{name}_{size}"].astype(int) for arrays in (of_trainer, of_triton))
    assert theirs.shape == ours.shape == (3, size, size)
    # A picture that is very long is not scaled whole, and its place is rounded.
    assert np.abs(theirs - ours).max() <= (1 if name == "thin" else 0)


@pytest.mark.parametrize("name", CASES)
def test_boxes_go_back_to_the_same_place_in_the_picture(name: str, of_triton: Arrays) -> None:
    shape, full = CASES[name]
    _, place = letterbox(picture(*shape), full)
    np.testing.assert_allclose(of_triton[f"back_{name}"], place.to_original(inputs()["corners"]), atol=1e-2)


def test_the_padding_is_the_same_grey() -> None:
    grey = constant(TRAINER / "detection.py", "PADDING")
    assert constant(ROOT / "clients/python/yolo_client/letterbox.py", "PADDING") == grey
    assert constant(YOLO / "detector/letterbox.py", "PADDING") == (grey, grey, grey)


def test_the_trainer_and_the_proof_of_the_server_mean_the_same_by_overlap(of_trainer: Arrays) -> None:
    asked = inputs()
    overlap = iou_matrix(asked["first"], asked["second"])
    assert 0 < np.count_nonzero(overlap) < overlap.size and overlap.max() > 0.5
    np.testing.assert_allclose(of_trainer["iou"], overlap, atol=1e-6)


@pytest.mark.parametrize("name", ["one class", "ten classes", "end to end"])
def test_the_server_finds_the_rows_that_the_trainer_measures_with(name: str, of_trainer: Arrays) -> None:
    output = inputs()[f"raw_{name}"]
    confidence, iou = (constant(SERVER / "settings.py", f"Settings.{field}") for field in ("confidence", "iou"))
    found = detections_of(output, np.full(len(output), confidence, np.float32), np.full(len(output), iou))
    for index, rows in enumerate(found):
        assert 0 < len(rows) < output.shape[1 if name == "end to end" else 2]
        np.testing.assert_allclose(rows, of_trainer[f"rows_{name}_{index}"], atol=1e-3)


@pytest.mark.parametrize("limit", ["max 100000", "50000 100000", "150000 100000", "9900000 100000"])
def test_the_trainer_and_the_server_see_the_same_processors(limit: str, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cpu_count(tmp_path / "cpu.max") == cpu_limit(tmp_path)
