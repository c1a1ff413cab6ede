"""Ultralytics' own remote model, `YOLO("http://host:port/model", task="detect")`, with the tensor model."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle.serving import Detector
from lifecycle.serving.letterbox import Floats
from PIL import Image

from tests.integration.serving.servers import TRAINER_PYTHON, Triton

# What tritonclient needs and the training image does not have: Ultralytics asks its users to install it.
CLIENT = ("tritonclient", "geventhttpclient", "gevent", "greenlet", "zope", "rapidjson", "brotli", "_brotli", "grpc")


@pytest.fixture(scope="module")
def client_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH with links to tritonclient and to nothing that the training environment has itself."""
    folder = tmp_path_factory.mktemp("client")
    for name in CLIENT:
        found = importlib.util.find_spec(name)
        assert found, f"{name} is not in this environment"
        places = list(found.submodule_search_locations or [found.origin or ""])
        source = Path(places[0])
        (folder / source.name).symlink_to(source)
    (installed,) = (folder / "tritonclient").resolve().parent.glob("tritonclient-*.dist-info")
    (folder / installed.name).symlink_to(installed)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three pictures of one shape, as a camera gives them; the server's batch holds them all."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for seed in range(3):
        coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8))
        paths.append(folder / f"{seed}.png")
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def ask(url: str, packages: Path, folder: Path, pictures: list[Path], names: str = "") -> dict[str, Any]:
    """Runs remote_model.py."""
    script = Path(__file__).with_name("remote_model.py")
    (folder / "settings").mkdir(exist_ok=True)
    variables = os.environ | {"YOLO_CONFIG_DIR": str(folder / "settings"), "PYTHONPATH": str(packages)}
    command = [str(TRAINER_PYTHON), str(script), url, names, *map(str, pictures)]
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def same(ours: list[Floats], theirs: list[Floats]) -> None:
    """Asserts the same boxes, in the same order, and more than a few of them."""
    assert [len(rows) for rows in ours] == [len(rows) for rows in theirs]
    assert min(len(rows) for rows in ours) > 5, "the pictures prove nothing"
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[:, 5], other[:, 5])
        np.testing.assert_allclose(one[:, 4], other[:, 4], atol=1e-3)
        np.testing.assert_allclose(one[:, :4], other[:, :4], atol=0.05)


def rows(told: dict[str, Any]) -> list[Floats]:
    """The rows of each picture."""
    return [np.array(each, np.float32).reshape(-1, 6) for each in told["rows"]]


@pytest.mark.parametrize("model", ["yolo11n", "yolo26n"])
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_it_finds_what_our_client_finds(
    serving: Triton, client_packages: Path, pictures: list[Path], tmp_path: Path, scheme: str, model: str
) -> None:
    port = serving.http_port if scheme == "http" else serving.grpc_port
    told = ask(f"{scheme}://127.0.0.1:{port}/{model}", client_packages, tmp_path, pictures)
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in pictures]
    with Detector(serving.http, model) as client:
        same(rows(told), client.detect(pixels, size=160))
