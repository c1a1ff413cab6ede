"""INT8 is served where the evaluation allows it and its file is the one that the pinned ONNX names; else the next."""

import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lifecycle.verification.verify import iou_matrix
from yolo_client import Detector

from tests.support.mlflow import Mlflow, Registered
from tests.support.paths import TRAINER_PYTHON
from tests.support.processes import free_port
from tests.support.triton import Triton

StartTriton = Callable[..., Triton]

FLAGS = Path("/proc/cpuinfo").read_text()
pytestmark = pytest.mark.skipif(
    not any(flag in FLAGS for flag in ("avx512_vnni", "avx_vnni", "amx_int8")),
    reason="this processor does not compute in INT8",
)
SMALL, LARGE = '{"int8": 0.001}', '{"int8": 0.006}'
INT8 = "model.int8.zip"


@pytest.fixture(scope="module")
def quantized(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A yolo11n that names an INT8 file, which is beside it."""
    file = Path(shutil.copy(models / "yolo11n.onnx", tmp_path_factory.mktemp("quantized") / "model.onnx"))
    script = Path(__file__).with_name("quantize_model.py")
    variables = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(TRAINER_PYTHON), str(script), str(file), str(models / "yolo11n.npz")]
    subprocess.run(command, env=variables, check=True, timeout=300)
    return file


def register(server: Mlflow, name: str, file: Path, drop: str) -> tuple[Registered, Path]:
    """The version as MLflow's ONNX flavour stores it with `extra_files`, and where its INT8 file is."""
    registered = server.register(name, file, precision_drop=drop, image_size="160")
    stored = server.stored_file(registered).parent / "extra_files" / INT8
    stored.parent.mkdir()
    shutil.copy(file.with_name(INT8), stored)
    return registered, stored


def precision(triton: Triton) -> str:
    """By the model's own account."""
    with Detector(triton.http, "digits") as client:
        return client.served().precision


def metrics(triton: Triton) -> str:
    with urllib.request.urlopen(triton.metrics) as response:
        return str(response.read().decode())


def test_a_small_loss_is_served_in_int8_and_the_file_is_kept(
    start_triton: StartTriton,
    mlflow_server: Mlflow,
    quantized: Path,
    expected: Callable[[str, int], tuple[np.ndarray, list[np.ndarray]]],
    tmp_path: Path,
) -> None:
    registered, stored = register(mlflow_server, "int8-small-loss", quantized, SMALL)
    triton = start_triton({"digits": registered.parameters()})
    triton.wait_ready("digits")
    assert precision(triton) == "int8"
    assert 'precision="int8"' in metrics(triton) and 'engine="openvino"' in metrics(triton)
    images, _ = expected("yolo11n", 160)
    with Detector(triton.http, "digits") as client:
        together = client.infer(images, confidence=0.15)
        alone = [client.infer(image[None], confidence=0.15)[0] for image in images]
    for one, beside_others in zip(alone, together, strict=True):
        surest = one[:3]
        assert len(surest) == 3
        same = iou_matrix(surest[:, :4], beside_others[:, :4]) > 0.95
        assert (same & (np.abs(surest[:, None, 4] - beside_others[None, :, 4]) < 0.02)).any(axis=1).all()

    away = {"http_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": "", "NO_PROXY": ""}
    again = start_triton({"digits": registered.parameters()}, away)
    again.wait_ready("digits")
    assert precision(again) == "int8", "a restart needs no MLflow"

    objects = {path.stat().st_size: path for path in (tmp_path / "cache" / "objects").iterdir()}
    objects[stored.stat().st_size].unlink()
    third = start_triton({"digits": registered.parameters()})
    third.wait_ready("digits")
    assert precision(third) == "int8"
    assert f"{INT8} downloaded, {stored.stat().st_size} bytes" in third.log, "the one file that was missing"


@pytest.mark.parametrize(
    ("drop", "settings", "served", "line"),
    [
        (LARGE, {}, "fp32", None),
        (LARGE, {"MODEL_PRECISION": "int8"}, "fp32", "the evaluation found a loss of 0.006 in mAP50-95"),
        (SMALL, {"MODEL_PRECISION": "fp32"}, "fp32", None),
        (SMALL, {"MODEL_PRECISION": "int8"}, "int8", None),
    ],
)
def test_a_large_loss_is_not_served_whatever_the_setting(
    start_triton: StartTriton,
    mlflow_server: Mlflow,
    quantized: Path,
    drop: str,
    settings: dict[str, str],
    served: str,
    line: str | None,
) -> None:
    registered, _ = register(mlflow_server, "int8-settings", quantized, drop)
    triton = start_triton({"digits": registered.parameters()}, settings)
    triton.wait_ready("digits")
    assert precision(triton) == served
    assert ("stays at fp32" in triton.log) == (line is not None) and (line or "") in triton.log


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_without_its_file_the_version_is_served_in_the_next_precision(
    start_triton: StartTriton, mlflow_server: Mlflow, quantized: Path, damage: str
) -> None:
    registered, stored = register(mlflow_server, f"int8-{damage}", quantized, SMALL)
    if damage == "changed":
        content = bytearray(stored.read_bytes())
        content[1000] ^= 255
        stored.write_bytes(content)
    else:
        stored.unlink()
    triton = start_triton({"digits": registered.parameters()})
    triton.wait_ready("digits")
    assert precision(triton) == "fp32"
    lines = [each for each in triton.log.splitlines() if "not served with openvino in int8, next is" in each]
    assert len(lines) == 1
    assert ("was changed or is damaged" if damage == "changed" else "lacks the file") in lines[0]
