"""A classifier beside detectors on one Triton: pictures in, scores and labels out, asked by tritonclient itself."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from lifecycle.model.pin import Pin
from lifecycle.verification import AnswersDiffer, ask_served, compare_latency, verify_served
from PIL import Image

from tests.integration.serving.own_model import OwnModel
from tests.integration.serving.pictures import file
from tests.support.mlflow import Mlflow, Registered
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")

# Red, green, blue: what each picture has of them, and so its scores.
TEAL, RED, NAVY = (0, 100, 100), (200, 40, 10), (10, 10, 180)
Values = dict[str, Any]


def ask(triton: Triton, name: str, value: np.ndarray[Any, Any], outputs: tuple[str, ...], classes: int = 0) -> Values:
    """Outputs of one request over HTTP."""
    entry = http.InferInput(name, list(value.shape), "BYTES" if name == "encoded" else "UINT8")
    entry.set_data_from_numpy(value)
    wanted = [http.InferRequestedOutput(each, class_count=classes * (each == "scores")) for each in outputs]
    with http.InferenceServerClient(triton.http.removeprefix("http://")) as client:
        answer = client.infer("colours", [entry], outputs=wanted)
    return {each: answer.as_numpy(each) for each in outputs}


def pixels(*colours: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """A batch of pictures of one colour each, as the model takes them."""
    return np.stack([np.broadcast_to(np.array(each, np.uint8)[:, None, None], (3, 64, 64)) for each in colours])


def files(*contents: bytes) -> np.ndarray[Any, Any]:
    """A batch of picture files."""
    return np.array([[content] for content in contents], object)


def test_scores_and_labels_of_a_batch(serving: Triton) -> None:
    found = ask(serving, "pixels", pixels(RED, TEAL, NAVY), ("scores", "labels"))
    assert found["scores"].shape == (3, 3) and found["scores"].dtype == np.float32
    np.testing.assert_allclose(found["scores"], [[0.8, 0.16, 0.04], [0, 0.5, 0.5], [0.05, 0.05, 0.9]], atol=1e-5)
    assert [label.decode() for label in found["labels"][:, 0]] == ["red", "green", "navy blue"]


def test_of_a_picture_file_of_any_size_the_middle_counts(serving: Triton) -> None:
    wide = Image.new("RGB", (400, 100), NAVY)
    wide.paste(RED, (150, 0, 250, 100))
    answers = ask(serving, "encoded", files(file(wide), file(wide.rotate(90, expand=True))), ("scores", "labels"))
    np.testing.assert_allclose(answers["scores"], [[0.8, 0.16, 0.04]] * 2, atol=0.01)
    assert answers["labels"].tolist() == [[b"red"], [b"red"]]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritons_classification_extension_gives_score_index_and_label(protocol: str, serving: Triton) -> None:
    if protocol == "http":
        found = ask(serving, "pixels", pixels(NAVY, RED), ("scores",), classes=2)["scores"]
    else:
        entry = grpc.InferInput("pixels", [2, 3, 64, 64], "UINT8")
        entry.set_data_from_numpy(pixels(NAVY, RED))
        with grpc.InferenceServerClient(serving.grpc) as client:
            wanted = [grpc.InferRequestedOutput("scores", class_count=2)]
            found = client.infer("colours", [entry], outputs=wanted).as_numpy("scores")
    best = [[text.decode().split(":") for text in row] for row in found]
    assert [row[0][1:] for row in best] == [["2", "navy blue"], ["0", "red"]]
    assert best[1][1][1:] == ["1", "green"]
    assert [float(row[0][0]) for row in best] == pytest.approx([0.9, 0.8], abs=1e-5)


def test_it_tells_its_version_and_its_task(serving: Triton, colours: Registered) -> None:
    told = json.loads(ask(serving, "pixels", pixels(RED), ("model_info",))["model_info"].tobytes())
    assert (told["task"], told["version"], told["sha256"]) == ("classify", colours.version, colours.sha256)
    assert told["class_names"] == ["red", "green", "navy blue"] and told["image_size"] == 64
    (line,) = [line for line in serving.metric_lines("yolo_model_info") if 'model="colours"' in line]
    assert f'sha256="{colours.sha256}"' in line


@pytest.fixture
def verification(tmp_path: Path) -> Path:
    """What `evaluate` leaves of a classifier: pictures, and the probabilities of the trained model."""
    expected = [(RED, [0.8, 0.16, 0.04]), (NAVY, [0.05, 0.05, 0.9])]
    for number, (colour, _) in enumerate(expected):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{number}.png")
    images = [{"file": f"{number}.png", "probabilities": scores} for number, (_, scores) in enumerate(expected)]
    told = {"task": "classify", "image_size": 64, "class_names": ["red", "green", "navy blue"], "images": images}
    (tmp_path / "expected.json").write_text(json.dumps(told))
    return tmp_path


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_dags_proof_accepts_what_the_trained_model_says(
    protocol: Literal["http", "grpc"], serving: Triton, colours: Registered, verification: Path
) -> None:
    url = serving.http if protocol == "http" else serving.grpc
    report = verify_served(
        url, "colours", Pin(colours.version, colours.sha256, colours.run_id), verification, protocol=protocol
    )
    assert report.words == "2 classes in 2 images"
    assert ask_served(url, "colours", protocol).class_names == ("red", "green", "navy blue")
    assert report.picture.width > 64


def test_the_dags_proof_refuses_other_probabilities_and_times_both_servers(
    serving: Triton, colours: Registered, verification: Path
) -> None:
    assert len(compare_latency(serving.http, serving.http, "colours", verification).candidate) == 10
    told = json.loads((verification / "expected.json").read_text())
    told["images"][1]["probabilities"] = [0.9, 0.05, 0.05]
    (verification / "expected.json").write_text(json.dumps(told))
    with pytest.raises(AnswersDiffer, match=r"1\.png: the trained model says 'red' with 0\.90, and the served model"):
        verify_served(serving.http, "colours", Pin(colours.version, colours.sha256, colours.run_id), verification)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "pixels",
            np.zeros((1, 3, 32, 32), np.uint8),
            "are 32x32 pixels, but this model was exported for 64x64 only",
        ),
        ("encoded", files(b"GIF89a"), "the picture is not a JPEG, PNG or WebP"),
    ],
)
def test_what_it_cannot_take_is_refused_with_a_reason(
    name: str, value: np.ndarray[Any, Any], reason: str, serving: Triton
) -> None:
    with pytest.raises(http.InferenceServerException, match=reason):
        ask(serving, name, value, ("scores",))


def test_a_version_of_another_task_is_refused_before_it_is_ready(
    own: OwnModel, mlflow_server: Mlflow, colours: Registered, toy: Registered, handmade: Path
) -> None:
    reason = own.refused(colours.parameters())
    assert reason.startswith(f"'colours' version {colours.version} is exported for the task 'classify'")
    assert "this template serves 'detect' (a detector): name the template of 'classify'" in reason
    reason = own.refused(toy.parameters(), template="classifier")
    assert reason.startswith("the model's output has shape [1, 6, 2], but a classifier's is [N, classes]")
    misnamed = mlflow_server.register("misnamed", handmade / "colours.onnx", class_names='["red", "green"]')
    reason = own.refused(misnamed.parameters(), template="classifier")
    assert "names 2 classes, but its model gives 3 scores" in reason
