"""Every engine and precision of this processor finds what Ultralytics finds, alone and in a batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lifecycle.kinds.detect.answers import iou_matrix

from tests.integration.serving.asking import ask
from tests.integration.serving.own_model import OwnModel
from tests.support.mlflow import Mlflow

pytestmark = pytest.mark.xdist_group("loading")


def assert_nearly_equal(first: np.ndarray, second: np.ndarray, least_iou: float, tolerance: float) -> None:
    """The same network another way through the same engine: what is sure has the same place, class and confidence."""
    sure = first[first[:, 4] > 0.4]
    assert len(sure) > 5
    same = (iou_matrix(sure[:, :4], second[:, :4]) > least_iou) & (sure[:, None, 5] == second[None, :, 5])
    assert (same & (np.abs(sure[:, None, 4] - second[None, :, 4]) < tolerance)).any(axis=1).all()


@pytest.mark.parametrize(
    ("engine", "precision", "least_iou", "tolerance"),
    [("openvino", "fp32", 0.999, 1e-3), ("auto", "auto", 0.6, 0.1)],
    ids=["openvino", "auto"],
)
def test_engines_find_the_same(
    own: OwnModel,
    mlflow_server: Mlflow,
    exports: Path,
    expected: Callable[[str, int], tuple[np.ndarray, list[np.ndarray]]],
    engine: str,
    precision: str,
    least_iou: float,
    tolerance: float,
) -> None:
    """Lower precision moves the boxes of an untrained network more than those of a trained one."""
    registered = mlflow_server.register(f"engine-{engine}", exports / "yolo11n.onnx", precision_drop='{"bf16": 0.001}')
    own.serve(registered.parameters(), engine=engine, precision=precision)
    images, rows = expected("yolo11n", 160)
    with own.detector() as client:
        served = client.served()
        found = client.infer(images, confidence=0.15)
        alone = [client.infer(image[None], confidence=0.15)[0] for image in images]
    # In bf16 a batch may take another path through the processor (AMX), which rounds otherwise.
    near = (0.95, 0.01) if precision == "fp32" else (least_iou, tolerance)
    for one, beside_others in zip(alone, found, strict=True):
        assert_nearly_equal(one, beside_others, *near)
    pixels = np.rint(images * 255).astype(np.uint8)
    as_floats = pixels.astype(np.float32) / np.float32(255)
    for part in (slice(1), slice(None)):  # one image alone, and several
        of_bytes = ask(own.triton, own.name, pixels=pixels[part])
        of_floats = ask(own.triton, own.name, images=as_floats[part])
        for ours, theirs in zip(of_bytes, of_floats, strict=True):
            assert_nearly_equal(ours[ours[:, 4] > 0], theirs[theirs[:, 4] > 0], *near)
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    lowest = ("openvino", "bf16") if has_bf16 else ("onnxruntime", "fp32")
    assert (served.engine, served.precision) == (lowest if engine == "auto" else (engine, precision))
    for ours, theirs in zip(found, rows, strict=True):
        sure = theirs[theirs[:, 4] > 0.4]
        assert len(sure) > 5
        same = (iou_matrix(sure[:, :4], ours[:, :4]) > least_iou) & (sure[:, None, 5] == ours[None, :, 5])
        close = np.abs(sure[:, None, 4] - ours[None, :, 4]) < tolerance
        assert (same & close).any(axis=1).all()
