"""What bf16 and INT8 cost is measured with the engine that serves them, and not claimed where it is not measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trainer.datasets.model import Sample
from trainer.networks import Network, OnnxNetwork
from trainer.precision import OpenVinoNetwork, candidates, computes_in, measure_lower
from trainer.quantization import add_int8
from trainer.tasks import find

from conftest import ROW, write_image

DETECT = find("detect")
REFERENCE = 0.7
# The variable keeps oneDNN, and so OpenVINO, from what the processor has.
needs_bf16 = pytest.mark.skipif(
    not computes_in("bf16") or "ONEDNN_MAX_CPU_ISA" in os.environ, reason="nothing here computes in bf16"
)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """One picture of noise with one box."""
    image, label = tmp_path / "0.png", tmp_path / "0.txt"
    write_image(image, 0)
    label.write_text(ROW)
    return [Sample(image.name, image, label)]


def _figure(samples: list[Sample]) -> Callable[[Network], float]:
    """mAP50-95 on the samples."""
    return lambda network: DETECT.measure(network, samples, ["cat", "dog"], 32).figures["mAP50-95"]


@needs_bf16
def test_it_computes_in_bf16(network: Path) -> None:
    batch = np.random.default_rng(1).random((2, 3, 32, 64), np.float32)
    exact, rounded = OnnxNetwork(network).raw(batch), OpenVinoNetwork(network).raw(batch)
    assert rounded.shape == exact.shape == (2, 6, 32)
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 2**-16 < error < 2**-5, "bf16 keeps 8 bits, FP32 24"


@needs_bf16
def test_compiled_for_one_size_it_finds_the_same_in_images_of_it(network: Path) -> None:
    batch = np.random.default_rng(1).random((3, 3, 64, 64), np.float32)
    of_any, of_one = OpenVinoNetwork(network).raw(batch), OpenVinoNetwork(network, side=64).raw(batch)
    assert of_one.shape == of_any.shape
    assert np.abs(of_one - of_any).max() / np.abs(of_any).max() < 2**-5
    with pytest.raises(RuntimeError):
        OpenVinoNetwork(network, side=64).raw(batch[..., :32])


@needs_bf16
def test_the_drop_is_the_difference_to_the_measurement_in_fp32(network: Path, samples: list[Sample]) -> None:
    # What the network finds in noise is never right: all of the reference is lost.
    found = measure_lower({"bf16": network}, REFERENCE, _figure(samples), "mAP50-95", 32)
    assert {precision: lower.drop for precision, lower in found.items()} == {"bf16": REFERENCE}
    assert not found["bf16"].served


@needs_bf16
def test_what_openvino_cannot_load_is_not_claimed(
    tmp_path: Path, samples: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert measure_lower({"bf16": broken}, REFERENCE, _figure(samples), "mAP50-95", 32) == {}
    assert "OpenVINO cannot load" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("precision", "flags", "expected"),
    [
        ("bf16", "avx2 avx512_bf16 sse", True),
        ("bf16", "amx_bf16", True),
        ("bf16", "avx2 avx512f avx512_vnni", False),
        ("bf16", "avx512_bf16x", False),
        ("int8", "avx2 avx512f avx512_vnni", True),
        ("int8", "avx_vnni", True),
        ("int8", "amx_int8", True),
        ("int8", "avx2 avx512_bf16", False),
    ],
)
def test_the_processors_flags(tmp_path: Path, precision: str, flags: str, expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    assert computes_in(precision, file) is expected
    assert not computes_in(precision, tmp_path / "none")


def test_nothing_is_claimed_that_the_processor_does_not_compute_in(
    network: Path, samples: list[Sample], tmp_path: Path
) -> None:
    files = candidates(network, add_int8(network, samples, 32, DETECT.read, DETECT.in_floats))
    assert set(files) == {"bf16", "int8"}
    assert measure_lower(files, REFERENCE, _figure(samples), "mAP50-95", 32, tmp_path / "none") == {}
    (tmp_path / "cpuinfo").write_text("flags : avx512_vnni")
    found = measure_lower(files, REFERENCE, _figure(samples), "mAP50-95", 32, tmp_path / "cpuinfo")
    assert {precision: lower.drop for precision, lower in found.items()} == {"int8": REFERENCE}
