"""Ultralytics' own remote model, `YOLO("http://host:port/model", task="detect")`, with the tensor model."""

import importlib.util
import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from yolo_client import Detector
from yolo_client.letterbox import Floats

from tests.integration.serving.conftest import StartTriton
from tests.support.mlflow import Registered
from tests.support.paths import TRAINER_PYTHON
from tests.support.triton import Triton

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
    variables = os.environ | {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
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


def by_our_client(triton: Triton, model: str, pictures: list[Path]) -> list[Floats]:
    """What `Detector` finds."""
    with Detector(triton.http, model) as client:
        return client.detect([np.asarray(Image.open(path).convert("RGB")) for path in pictures], size=160)


def test_it_finds_what_ultralytics_finds_with_the_file_and_what_our_client_finds(
    serving: Triton, models: Path, client_packages: Path, pictures: list[Path], tmp_path: Path
) -> None:
    remote = rows(ask(f"{serving.http}/yolo11n", client_packages, tmp_path, pictures))
    same(remote, rows(ask(str(models / "yolo11n.onnx"), client_packages, tmp_path, pictures)))
    same(remote, by_our_client(serving, "yolo11n", pictures))


def test_an_end_to_end_model_over_grpc(
    serving: Triton, client_packages: Path, pictures: list[Path], tmp_path: Path
) -> None:
    told = ask(f"grpc://{serving.grpc}/yolo26n", client_packages, tmp_path, pictures)
    same(rows(told), by_our_client(serving, "yolo26n", pictures))


def test_class_names_come_from_the_callers_data_file(serving: Triton, client_packages: Path, tmp_path: Path) -> None:
    Image.new("RGB", (160, 160), (255, 0, 0)).save(tmp_path / "red.png")
    (tmp_path / "colors.yaml").write_text("names: {0: red, 1: green}\n")
    told = ask(f"{serving.http}/toy", client_packages, tmp_path, [tmp_path / "red.png"], str(tmp_path / "colors.yaml"))
    assert told["names"] == {"0": "red", "1": "green"}
    np.testing.assert_allclose(rows(told)[0], [[12, 20, 28, 28, 1, 0]], atol=1e-3)


def test_class_names_come_from_the_parameter_metadata(
    start_triton: StartTriton, toy: Registered, client_packages: Path, tmp_path: Path
) -> None:
    metadata = "{'names': {0: 'red', 1: 'green'}, 'args': {'dynamic': True}}"
    triton = start_triton({"toy": toy.parameters(metadata=metadata)})
    triton.wait_ready("toy")
    paths = [tmp_path / f"{red}.png" for red in (150, 250)]
    for path in paths:
        Image.new("RGB", (160, 160), (int(path.stem), 0, 0)).save(path)
    told = ask(f"{triton.http}/toy", client_packages, tmp_path, paths)
    assert told["names"] == {"0": "red", "1": "green"}
    np.testing.assert_allclose([found[0, 4] for found in rows(told)], [150 / 255, 250 / 255], atol=1e-3)
    with urllib.request.urlopen(f"{triton.http}/v2/models/toy/stats", timeout=5) as response:
        batches = json.load(response)["model_stats"][0]["batch_stats"]
    assert {batch["batch_size"] for batch in batches} == {2}, "the pictures did not go as one batch"
