"""INT8: calibrated on the training split, noted in the FP32 file, and no reason to fail a training."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from trainer.datasets.model import Sample
from trainer.networks import OnnxNetwork
from trainer.precision import OpenVinoNetwork
from trainer.quantization import FILE, FOLDER, NOTE, add_int8, calibration_samples, find_int8
from trainer.tasks import find
from trainer.tasks.detect.decoding import decoding
from watched import run_watched

from conftest import write_image

DETECT = find("detect")


@pytest.fixture
def training(tmp_path: Path) -> list[Sample]:
    """Pictures of noise, without labels."""
    found = []
    for seed in range(6):
        write_image(tmp_path / f"images/{seed}.png", seed)
        found.append(Sample(f"{seed}.png", tmp_path / f"images/{seed}.png", None))
    return found


def notes(file: Path) -> dict[str, str]:
    import onnx

    return {entry.key: entry.value for entry in onnx.load(str(file)).metadata_props}


def stored(file: Path, int8: Path, folder: Path) -> Path:
    """The two files as MLflow returns them."""
    (folder / FOLDER).mkdir(parents=True)
    shutil.copy(int8, folder / FOLDER)
    return Path(shutil.copy(file, folder / "model.onnx"))


def test_the_int8_file_computes_the_same_roughly_and_the_fp32_file_names_it(
    network: Path, training: list[Sample], tmp_path: Path
) -> None:
    batch = np.random.default_rng(1).random((2, 3, 32, 32), np.float32)
    exact = OnnxNetwork(network).raw(batch)
    int8 = add_int8(network, training, 32, DETECT.read, DETECT.in_floats)
    assert int8 is not None and int8.name == FILE
    assert json.loads(notes(network)[NOTE]) == {
        "file": FILE,
        "sha256": hashlib.sha256(int8.read_bytes()).hexdigest(),
        "bytes": int8.stat().st_size,
    }
    assert (OnnxNetwork(network).raw(batch) == exact).all(), "the note changes nothing"
    error = np.abs(OpenVinoNetwork(int8, "int8").raw(batch) - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.05, "it computes in 8 bits"
    assert find_int8(stored(network, int8, tmp_path / "stored")) is not None


def test_an_int8_file_that_was_changed_is_not_measured(
    network: Path, training: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_int8(network) is None, "none is named yet"
    int8 = add_int8(network, training, 32, DETECT.read, DETECT.in_floats)
    assert int8 is not None
    file = stored(network, int8, tmp_path / "stored")
    (file.parent / FOLDER / FILE).write_bytes(int8.read_bytes()[:-1])
    assert find_int8(file) is None
    assert "is not the one that was logged" in capsys.readouterr().out
    (file.parent / FOLDER / FILE).unlink()
    assert find_int8(file) is None


def test_a_model_that_cannot_be_quantized_is_no_failure(
    tmp_path: Path, training: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no model")
    assert add_int8(broken, training, 32, DETECT.read, DETECT.in_floats) is None
    assert broken.read_bytes() == b"no model"
    assert "No INT8, because the model cannot be quantized (" in capsys.readouterr().out


def test_the_same_training_images_each_time_and_fewer_large_ones() -> None:
    samples = [Sample(str(number), Path(str(number)), None) for number in range(1000)]
    chosen = calibration_samples(samples, 160)
    assert chosen == calibration_samples(samples, 160)
    assert len({sample.key for sample in chosen}) == 200
    assert max(int(sample.key) for sample in chosen) > 800, "from the whole split"
    assert calibration_samples(samples, 640) == chosen[:61]
    assert len(calibration_samples(samples, 1280)) == 32
    assert len(calibration_samples(samples[:5], 160)) == 5


def test_the_end_of_the_head_stays_in_floats() -> None:
    inside = ["/model.0/conv/Conv", "/model.23/cv2.0/cv2.0.0/conv/Conv", "/model.23/one2one_cv3.1/act/Mul"]
    end = ["/model.23/Sigmoid", "/model.23/dfl/conv/Conv", "/model.23/Concat_3", "/model.23/TopK"]
    assert decoding([*inside, *end]) == end
    assert decoding(["Conv_1", "Mul_2"]) == []


QUANTIZE = """
import sys
from trainer.quantization import add_int8
from trainer.datasets.model import Sample
from trainer.tasks import find
from pathlib import Path
task = find("detect")
add_int8(Path(sys.argv[1]), [Sample("0", Path(sys.argv[2]), None)], 32, task.read, task.in_floats)
"""


def test_quantizing_asks_nobody_over_the_network(network: Path, training: list[Sample], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    output, requests = run_watched(QUANTIZE, home, str(network), str(training[0].image))
    assert requests == []
    assert "Quantized to INT8 on 1 training images" in output
    assert list(home.iterdir()) == [], "no client number of a telemetry either"
