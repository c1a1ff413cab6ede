"""INT8 is served where the evaluation allows it and its file is the one that the pinned ONNX names; else the next."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lifecycle.kinds.detect.answers import iou_matrix

from tests.integration.serving.own_model import OwnModel
from tests.support.forwarding import Forwarding
from tests.support.mlflow import Mlflow, Registered
from tests.support.models import in_training_environment

FLAGS = Path("/proc/cpuinfo").read_text()
pytestmark = [
    pytest.mark.xdist_group("loading"),
    pytest.mark.skipif(
        not any(flag in FLAGS for flag in ("avx512_vnni", "avx_vnni", "amx_int8")),
        reason="this processor does not compute in INT8",
    ),
]
SMALL, LARGE = '{"int8": 0.001}', '{"int8": 0.006}'
INT8 = "model.int8.zip"


@pytest.fixture(scope="module")
def quantized(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yolo11n that names an INT8 file, which is beside it."""
    file = Path(shutil.copy(exports / "yolo11n.onnx", tmp_path_factory.mktemp("quantized") / "model.onnx"))
    script = Path(__file__).with_name("quantize_model.py")
    in_training_environment(script, file, exports / "yolo11n.npz", cwd=file.parent)
    return file


def register(server: Mlflow, name: str, file: Path, drop: str) -> tuple[Registered, Path]:
    """The version as MLflow's ONNX flavour stores it with `extra_files`, and where its INT8 file is."""
    registered = server.register(name, file, precision_drop=drop, image_size="160")
    stored = server.stored_file(registered).parent / "extra_files" / INT8
    stored.parent.mkdir()
    shutil.copy(file.with_name(INT8), stored)
    return registered, stored


def precision(own: OwnModel) -> str:
    """By the model's own account."""
    with own.detector() as client:
        return client.served().precision


def test_a_small_loss_is_served_in_int8_and_the_file_is_kept(
    own: OwnModel,
    mlflow_server: Mlflow,
    quantized: Path,
    expected: Callable[[str, int], tuple[np.ndarray, list[np.ndarray]]],
) -> None:
    registered, stored = register(mlflow_server, "int8-small-loss", quantized, SMALL)
    forwarding = Forwarding(mlflow_server.port)
    with forwarding.opened():
        own.serve(registered.parameters(), mlflow_tracking_uri=forwarding.uri)
    assert precision(own) == "int8"
    (line,) = [line for line in own.triton.metric_lines("yolo_model_info") if f'model="{own.name}"' in line]
    assert 'precision="int8"' in line and 'engine="openvino"' in line
    images, _ = expected("yolo11n", 160)
    with own.detector() as client:
        together = client.infer(images, confidence=0.15)
        alone = [client.infer(image[None], confidence=0.15)[0] for image in images]
    for one, beside_others in zip(alone, together, strict=True):
        surest = one[:3]
        assert len(surest) == 3
        same = iou_matrix(surest[:, :4], beside_others[:, :4]) > 0.95
        assert (same & (np.abs(surest[:, None, 4] - beside_others[None, :, 4]) < 0.02)).any(axis=1).all()

    own.serve(registered.parameters(), mlflow_tracking_uri=forwarding.uri)
    assert precision(own) == "int8", "a restart needs no MLflow"

    objects = {path.stat().st_size: path for path in (own.cache / "objects").iterdir()}
    objects[stored.stat().st_size].unlink()
    with forwarding.opened():
        own.serve(registered.parameters(), mlflow_tracking_uri=forwarding.uri)
    assert precision(own) == "int8"
    # The one file that was missing.
    own.wait_said(f"{INT8} downloaded, {stored.stat().st_size} bytes")


@pytest.mark.parametrize(
    ("drop", "setting", "served", "line"),
    [
        (LARGE, "auto", "fp32", None),
        (LARGE, "int8", "fp32", "the evaluation found a loss of 0.006 against FP32"),
        (SMALL, "fp32", "fp32", None),
        (SMALL, "int8", "int8", None),
    ],
)
def test_a_large_loss_is_not_served_whatever_the_setting(
    own: OwnModel, mlflow_server: Mlflow, quantized: Path, drop: str, setting: str, served: str, line: str | None
) -> None:
    registered, _ = register(mlflow_server, "int8-settings", quantized, drop)
    own.serve(registered.parameters(), precision=setting)
    assert precision(own) == served
    own.wait_said(" serves 'int8-settings'")
    assert ("stays at fp32" in own.said) == (line is not None) and (line or "") in own.said


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_without_its_file_the_version_is_served_in_the_next_precision(
    own: OwnModel, mlflow_server: Mlflow, quantized: Path, damage: str
) -> None:
    registered, stored = register(mlflow_server, f"int8-{damage}", quantized, SMALL)
    if damage == "changed":
        content = bytearray(stored.read_bytes())
        content[1000] ^= 255
        stored.write_bytes(content)
    else:
        stored.unlink()
    own.serve(registered.parameters())
    assert precision(own) == "fp32"
    own.wait_said(f" serves 'int8-{damage}'")
    lines = [each for each in own.said.splitlines() if "not served with openvino in int8, next is" in each]
    assert len(lines) == 1
    assert ("was changed or is damaged" if damage == "changed" else "lacks the file") in lines[0]
