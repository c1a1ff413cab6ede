"""What bf16 costs is measured with an engine that really computes in bf16, and not claimed where it is not measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROW, write_image
from trainer.datasets.model import Sample
from trainer.detection import OnnxDetector
from trainer.measure import Measurement
from trainer.precision import OpenVinoDetector, has_bf16, precision_drop

REFERENCE = Measurement(0.9, 0.7, 0.9, 0.9, 1, [])
needs_bf16 = pytest.mark.skipif(not has_bf16(), reason="this processor does not compute in bf16")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A convolution whose output has the shape of a detector's of 2 classes: (n, 6, anchors)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 0.2, (6, 3, 8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["grid"], strides=[8, 8]),
        helper.make_node("Reshape", ["grid", "shape"], ["output"]),
    ]
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([0, 6, -1], np.int64), "shape"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 6, "a"])],
        constants,
    )
    file = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return file


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """One picture of noise with one box."""
    image, label = tmp_path / "0.png", tmp_path / "0.txt"
    write_image(image, 0)
    label.write_text(ROW)
    return [Sample(image.name, image, label)]


@needs_bf16
def test_it_computes_in_bf16(network: Path) -> None:
    batch = np.random.default_rng(1).random((2, 3, 32, 64), np.float32)
    exact, rounded = OnnxDetector(network).raw(batch), OpenVinoDetector(network).raw(batch)
    assert rounded.shape == exact.shape == (2, 6, 32)
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 2**-16 < error < 2**-5, "bf16 keeps 8 bits, FP32 24"


@needs_bf16
def test_the_drop_is_the_difference_to_the_measurement_in_fp32(network: Path, samples: list[Sample]) -> None:
    # What the network finds in noise is never right: all of the reference is lost.
    assert precision_drop(network, REFERENCE, samples, ["cat", "dog"], 32) == {"bf16": REFERENCE.map50_95}


@needs_bf16
def test_what_openvino_cannot_load_is_not_claimed(
    tmp_path: Path, samples: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert precision_drop(broken, REFERENCE, samples, ["cat", "dog"], 32) == {}
    assert "OpenVINO cannot load" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx2 avx512_bf16 sse", True), ("amx_bf16", True), ("avx2 avx512f avx512_vnni", False), ("avx512_bf16x", False)],
)
def test_the_processors_flags(tmp_path: Path, flags: str, expected: bool) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    assert has_bf16(file) is expected
    assert not has_bf16(tmp_path / "none")


def test_nothing_is_claimed_without_bf16(network: Path, samples: list[Sample], tmp_path: Path) -> None:
    assert precision_drop(network, REFERENCE, samples, ["cat", "dog"], 32, tmp_path / "none") == {}
