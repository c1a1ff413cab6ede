"""The client, the verification and examples/infer.py against a running Triton."""

import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lifecycle.model.pin import Pin
from lifecycle.verification import AnswersDiffer, SamplesUnusable, WrongVersionServed, verify_served
from PIL import Image
from yolo_client import Detector, NotServing, Protocol, RequestRefused

from tests.support.mlflow import Registered
from tests.support.paths import ROOT
from tests.support.processes import free_port
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")

PROTOCOLS: list[Protocol] = ["http", "grpc"]

both = pytest.mark.parametrize("protocol", PROTOCOLS)


def pin_of(made: Registered) -> Pin:
    """What a release pins."""
    return Pin(made.version, made.sha256, made.run_id)


def address(triton: Triton, protocol: Protocol) -> str:
    """Triton's address for a protocol."""
    return triton.http if protocol == "http" else triton.grpc


@both
def test_served_tells_the_loaded_version(serving: Triton, yolo: Registered, protocol: Protocol) -> None:
    with Detector(address(serving, protocol), "yolo11n", protocol) as client:
        assert client.ready()
        served = client.served()
    assert (served.name, served.version) == (yolo.name, yolo.version)
    assert (served.sha256, served.run_id, served.image_size) == (yolo.sha256, yolo.run_id, 160)
    assert served.class_names[7] == served.class_name(7) == "kind 7" and len(served.class_names) == 80
    assert served.class_name(99) == "99"


def test_served_needs_no_image_that_the_model_could_take(serving: Triton) -> None:
    for model in ("fixed", "yolo26n"):  # 64x64 only; at least 300 anchors
        with Detector(serving.http, model) as client:
            assert client.served().name == model


def test_the_metrics_tell_the_loaded_version(serving: Triton, yolo: Registered) -> None:
    lines = serving.metric_lines("yolo_model_info")
    (line,) = [line for line in lines if 'model="yolo11n"' in line]
    labels = ("registered_model", "yolo11n"), ("version", 1), ("sha256", yolo.sha256), ("run_id", yolo.run_id)
    for key, value in (*labels, ("engine", "onnxruntime"), ("precision", "fp32")):
        assert f'{key}="{value}"' in line
    assert line.endswith(" 1")
    assert len(lines) == 6, "one for each model that infers"


def test_the_metrics_count_requests_that_were_answered_with_an_error(serving: Triton) -> None:
    def errors() -> dict[str, float]:
        lines = [line for line in serving.metric_lines("yolo_request_errors_total") if 'model="yolo26n"' in line]
        return {line.split('reason="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines}

    before = errors()
    with Detector(serving.http, "yolo26n") as client:
        for size in (160, 33, 64):  # right, no multiple of 32, too few anchors for its 300 rows
            with suppress(RequestRefused):
                client.infer(np.zeros((1, 3, size, size), np.float32))
    after = errors()
    assert {reason: after[reason] - before[reason] for reason in after} == {"INVALID_ARG": 1, "INTERNAL": 1}


@both
def test_detect_gives_boxes_in_pixels_of_each_picture(serving: Triton, protocol: Protocol) -> None:
    # The toy finds class 0 in [12, 20, 28, 28] of the letterbox as surely as its mean is red; the padding is grey.
    square = np.full((128, 128, 3), (255, 0, 0), np.uint8)
    wide = np.full((32, 64, 3), (255, 0, 0), np.uint8)
    with Detector(address(serving, protocol), "toy", protocol) as client:
        first, second = client.detect([square, wide], size=64, confidence=0.5)
        many = client.detect([wide] * 11, size=64, confidence=0.5)
    np.testing.assert_allclose(first, [[24, 40, 56, 56, 1, 0]], atol=1e-3)
    grey = (1 + 114 / 255) / 2
    np.testing.assert_allclose(second, [[12, 4, 28, 12, grey, 0]], atol=1e-3)
    assert len(many) == 11 and all(np.array_equal(rows, second) for rows in many), "more pictures than one batch takes"


@both
def test_nobody_there(protocol: Protocol) -> None:
    started = time.monotonic()
    with Detector(f"127.0.0.1:{free_port()}", "digits", protocol, timeout=3) as client:
        assert not client.ready()
        with pytest.raises(NotServing, match="refused"):
            client.served()
    assert time.monotonic() - started < 20


@both
def test_unknown_model(serving: Triton, protocol: Protocol) -> None:
    with Detector(address(serving, protocol), "nobody", protocol) as client:
        assert not client.ready()
        with pytest.raises(NotServing, match="unknown model: 'nobody'"):
            client.served()


def test_a_refusal_tells_the_servers_reason(serving: Triton) -> None:
    with Detector(serving.http, "toy") as client, pytest.raises(RequestRefused, match="multiples of 32"):
        client.detect([np.zeros((50, 50, 3), np.uint8)], size=50)


@pytest.fixture
def samples(tmp_path: Path, serving: Triton) -> Path:
    """A `verification/` folder whose expected rows are what the toy must find."""
    images = []
    for index, (red, green) in enumerate([(230, 20), (20, 20), (100, 200)]):
        Image.new("RGB", (64, 64), (red, green, 0)).save(tmp_path / f"{index}.png")
        found = [[35, 30, 45, 50, green / 255, 1], [12, 20, 28, 28, red / 255, 0]]
        images.append({"file": f"{index}.png", "detections": [row for row in found if row[4] > 0.25]})
    write(tmp_path, images)
    return tmp_path


def write(folder: Path, images: list[dict[str, Any]]) -> None:
    """Writes expected.json."""
    content = {"image_size": 64, "confidence": 0.25, "iou": 0.7, "class_names": ["red", "green"], "images": images}
    (folder / "expected.json").write_text(json.dumps(content))


@both
def test_verification_passes(serving: Triton, toy: Registered, samples: Path, protocol: Protocol) -> None:
    url = address(serving, protocol)
    report = verify_served(url, "toy", pin_of(toy), samples, protocol=protocol)
    assert (report.images, report.matched, report.matches) == (3, 3, 3)
    assert report.served.run_id == toy.run_id
    assert report.picture.size == (3 * 640 + 2 * 8, 640)


def test_verification_names_what_is_wrong(serving: Triton, toy: Registered, samples: Path) -> None:
    with pytest.raises(WrongVersionServed, match=f"version {toy.version}, but version {toy.version + 1} is expected"):
        verify_served(serving.http, "toy", replace(pin_of(toy), version=toy.version + 1), samples)
    with pytest.raises(WrongVersionServed, match="sha256"):
        verify_served(serving.http, "toy", replace(pin_of(toy), sha256="0" * 64), samples)
    with pytest.raises(SamplesUnusable):
        verify_served(serving.http, "toy", pin_of(toy), samples / "nowhere")
    told = json.loads((samples / "expected.json").read_text())
    told["images"][2]["detections"][0][5] = 0
    write(samples, told["images"])
    with pytest.raises(AnswersDiffer, match=r"2\.png: the trained model finds class 0 at \[35\.0, 30\.0"):
        verify_served(serving.http, "toy", pin_of(toy), samples)


def infer(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs examples/infer.py."""
    command = [sys.executable, str(ROOT / "examples" / "infer.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@both
def test_the_example_draws_the_boxes(serving: Triton, tmp_path: Path, protocol: Protocol) -> None:
    Image.new("RGB", (128, 128), (255, 0, 0)).save(tmp_path / "red.png")
    url = address(serving, protocol)
    done = infer(
        *(str(tmp_path / "red.png"), "--model", "toy", "--protocol", protocol, "--url", url),
        *("--size", "64", "--out", str(tmp_path / "found")),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"red 1\.00 \[24, 40, 56, 56\]", done.stdout) and "sent as tensors" in done.stdout
    with Image.open(tmp_path / "found" / "red.png") as drawn:
        assert drawn.size == (640, 640)
        colors = {color for _, color in drawn.getcolors(100_000) or []}
    assert len(colors) > 2, "there is more on it than the red picture"


@both
def test_the_example_sends_the_files_where_they_are_decoded(
    serving: Triton, tmp_path: Path, protocol: Protocol
) -> None:
    Image.new("RGB", (128, 128), (255, 0, 0)).save(tmp_path / "red.png")
    Image.new("RGB", (64, 64), (0, 255, 0)).save(tmp_path / "green.webp", lossless=True)
    files = [str(tmp_path / "red.png"), str(tmp_path / "green.webp")]
    url = address(serving, protocol)
    common = ("--model", "toy", "--protocol", protocol, "--url", url, "--out", str(tmp_path / "found"))
    done = infer(*files, *common)
    assert done.returncode == 0, done.stderr
    assert f"sent as files over {protocol}" in done.stdout
    assert re.search(r"red 1\.00 \[24, 40, 56, 56\]", done.stdout)
    assert re.search(r"green 1\.00 \[35, 30, 45, 50\]", done.stdout)
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["green.png", "red.png"]
    assert "sent as tensors" in infer(*files, *common, "--tensor").stdout


@both
def test_the_asyncio_example_sends_a_folder(serving: Triton, tmp_path: Path, protocol: Protocol) -> None:
    for number in range(30):
        Image.new("RGB", (64, 64), (100 + 5 * number, 0, 0)).save(tmp_path / f"{number:02}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    command = [sys.executable, str(ROOT / "examples" / "infer_async.py"), str(tmp_path), "--model", "toy"]
    command += ["--protocol", protocol, "--url", address(serving, protocol), "--in-flight", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert len(lines) == 31
    assert "is not a JPEG, PNG or WebP" in lines.pop("broken.png")["error"]
    for name, line in lines.items():
        ((number, found),) = [(int(name[:2]), each) for each in line["detections"]]
        assert (found["class"], found["box"]) == ("red", [12, 20, 28, 28])
        assert found["confidence"] == pytest.approx((100 + 5 * number) / 255, abs=1e-3)
    command[command.index("--url") + 1] = f"127.0.0.1:{free_port()}"
    nobody = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert nobody.returncode == 1 and nobody.stderr.startswith("ERROR: ")


def test_the_example_says_what_is_wrong_in_one_line(serving: Triton, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    for arguments, reason in (
        ((str(tmp_path / "text.png"), "--model", "toy", "--url", serving.http), "text.png"),
        ((str(tmp_path / "black.png"), "--model", "nobody", "--url", serving.http), "nobody"),
        ((str(tmp_path / "black.png"), "--model", "toy", "--url", f"127.0.0.1:{free_port()}"), "refused"),
        ((str(tmp_path / "black.png"), "--model", "toy", "--url", serving.http, "--confidence", "7"), "0 to 1"),
    ):
        done = infer(*arguments, "--out", str(tmp_path / "found"))
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR: ") and reason in done.stderr and done.stderr.count("\n") == 1
