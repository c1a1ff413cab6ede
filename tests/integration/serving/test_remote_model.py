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

from tests.integration.serving.agreement import assert_same_objects
from tests.support.paths import TRAINER_PYTHON
from tests.support.triton import Triton

# What tritonclient needs and the training image does not have: Ultralytics asks its users to install it.
CLIENT = ("tritonclient", "geventhttpclient", "gevent", "greenlet", "zope", "rapidjson", "brotli", "_brotli", "grpc")
# Of the pictures that go to the model whose class names are in its metadata: how red each is.
METADATA_REDS = (150, 250)

pytestmark = pytest.mark.xdist_group("serving")


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


@pytest.fixture(scope="module")
def told(
    serving: Triton,
    exports: Path,
    client_packages: Path,
    pictures: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, Any]]:
    """What remote_model.py tells of each question; all are asked by one process, which takes seconds to start."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "colors.yaml").write_text("names: {0: red, 1: green}\n")
    reds = [folder / f"{red}.png" for red in (255, *METADATA_REDS)]
    for path in reds:
        Image.new("RGB", (160, 160), (int(path.stem), 0, 0)).save(path)
    asked = {
        "by http": (f"{serving.http}/yolo11n", "", pictures),
        "by file": (str(exports / "yolo11n.onnx"), "", pictures),
        "by grpc": (f"grpc://{serving.grpc}/yolo26n", "", pictures),
        "names in a file": (f"{serving.http}/toy", str(folder / "colors.yaml"), reds[:1]),
        "names in the metadata": (f"{serving.http}/told", "", reds[1:]),
    }
    questions = [{"url": url, "names": names, "pictures": list(map(str, of))} for url, names, of in asked.values()]
    (folder / "questions.json").write_text(json.dumps(questions))
    script = Path(__file__).with_name("remote_model.py")
    variables = os.environ | {"PYTHONPATH": str(client_packages)}
    command = [str(TRAINER_PYTHON), str(script), str(folder / "questions.json")]
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(asked, json.loads(done.stdout.strip().splitlines()[-1]), strict=True))


def same(ours: list[Floats], theirs: list[Floats]) -> None:
    """Asserts the same boxes, and more than a few of them."""
    assert [len(rows) for rows in ours] == [len(rows) for rows in theirs]
    assert min(len(rows) for rows in ours) > 5, "the pictures prove nothing"
    for one, other in zip(ours, theirs, strict=True):
        assert_same_objects(one, other, score=1e-3, place=0.05)


def rows(told: dict[str, Any]) -> list[Floats]:
    """The rows of each picture."""
    return [np.array(each, np.float32).reshape(-1, 6) for each in told["rows"]]


def by_our_client(triton: Triton, model: str, pictures: list[Path]) -> list[Floats]:
    """What `Detector` finds."""
    with Detector(triton.http, model) as client:
        return client.detect([np.asarray(Image.open(path).convert("RGB")) for path in pictures], size=160)


@pytest.mark.extended
def test_it_finds_what_ultralytics_finds_with_the_file_and_what_our_client_finds(
    told: dict[str, dict[str, Any]], serving: Triton, pictures: list[Path]
) -> None:
    remote = rows(told["by http"])
    same(remote, rows(told["by file"]))
    same(remote, by_our_client(serving, "yolo11n", pictures))


def test_an_end_to_end_model_over_grpc(told: dict[str, dict[str, Any]], serving: Triton, pictures: list[Path]) -> None:
    same(rows(told["by grpc"]), by_our_client(serving, "yolo26n", pictures))


def test_class_names_come_from_the_callers_data_file(told: dict[str, dict[str, Any]]) -> None:
    answer = told["names in a file"]
    assert answer["names"] == {"0": "red", "1": "green"}
    np.testing.assert_allclose(rows(answer)[0], [[12, 20, 28, 28, 1, 0]], atol=1e-3)


def test_class_names_come_from_the_parameter_metadata(told: dict[str, dict[str, Any]], serving: Triton) -> None:
    answer = told["names in the metadata"]
    assert answer["names"] == {"0": "red", "1": "green"}
    found = [each[0, 4] for each in rows(answer)]
    np.testing.assert_allclose(found, [red / 255 for red in METADATA_REDS], atol=1e-3)
    with urllib.request.urlopen(f"{serving.http}/v2/models/told/stats", timeout=5) as response:
        batches = json.load(response)["model_stats"][0]["batch_stats"]
    assert {batch["batch_size"] for batch in batches} == {2}, "the pictures did not go as one batch"
