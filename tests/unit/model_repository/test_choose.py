"""Which engine and precision: never a lower precision that was not shown to be good enough."""

from pathlib import Path

import pytest
from model_server.choice import Choice
from model_server.choose import choose
from model_server.record import VersionRecord
from model_server.settings import Settings

WITH_BF16, WITHOUT, WITH_BOTH = "flags : fpu avx512_bf16 sse", "flags : fpu avx2 sse", "flags : avx512_bf16 avx512_vnni"
GOOD, AT_THE_LIMIT, BAD = {"bf16": 0.001}, {"bf16": 0.005}, {"bf16": 0.006}
BOTH = {"bf16": 0.001, "int8": 0.004}
CPU, GPU = ("CPUExecutionProvider",), ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")

FP32, BF16 = ["onnxruntime fp32"], ["openvino bf16", "onnxruntime fp32"]
INT8 = ["openvino int8", *BF16]


def names(choices: list[Choice]) -> list[str]:
    """Choices in short."""
    return [f"{choice.engine} {choice.precision}" for choice in choices]


@pytest.mark.parametrize(
    ("engine", "precision", "drop", "flags", "expected"),
    [
        ("auto", "auto", GOOD, WITH_BF16, BF16),
        ("auto", "auto", AT_THE_LIMIT, WITH_BF16, BF16),
        ("auto", "auto", {"bf16": -0.01}, WITH_BF16, BF16),
        ("auto", "auto", BAD, WITH_BF16, FP32),
        ("auto", "auto", {"bf16": float("nan")}, WITH_BF16, FP32),
        ("auto", "auto", {}, WITH_BF16, FP32),
        ("auto", "auto", GOOD, WITHOUT, FP32),
        ("auto", "auto", BOTH, WITH_BOTH, INT8),
        ("auto", "auto", BOTH, WITH_BF16, BF16),
        ("auto", "auto", BOTH, "flags : avx_vnni", ["openvino int8", "onnxruntime fp32"]),
        ("auto", "auto", BOTH | {"int8": 0.0051}, WITH_BOTH, BF16),
        ("auto", "auto", {"int8": 0.0}, WITH_BF16, FP32),
        ("auto", "auto", {"fp16": 0.0}, WITH_BOTH, FP32),
        ("auto", "fp32", BOTH, WITH_BOTH, FP32),
        ("auto", "bf16", {}, WITH_BOTH, FP32),
        ("auto", "bf16", BOTH, WITH_BOTH, BF16),
        ("auto", "int8", GOOD, WITH_BOTH, FP32),
        ("auto", "int8", BOTH, WITH_BOTH, ["openvino int8", "onnxruntime fp32"]),
        ("onnxruntime", "auto", BOTH, WITH_BOTH, FP32),
        ("openvino", "auto", BOTH, WITH_BOTH, ["openvino int8", "openvino bf16", "openvino fp32"]),
        ("openvino", "auto", {}, WITH_BOTH, ["openvino fp32"]),
        ("openvino", "fp32", BOTH, WITH_BOTH, ["openvino fp32"]),
        ("openvino", "bf16", BAD, WITH_BOTH, ["openvino fp32"]),
        ("cuda", "auto", BOTH, WITH_BOTH, ["cuda fp32"]),
        ("tensorrt", "auto", BOTH, WITH_BOTH, ["tensorrt fp32"]),
        ("tensorrt", "auto", {"fp16": 0.002}, WITHOUT, ["tensorrt fp16", "tensorrt fp32"]),
        ("tensorrt", "fp16", {"fp16": 0.02}, WITHOUT, ["tensorrt fp32"]),
    ],
)
def test_choice(
    tmp_path: Path, engine: str, precision: str, drop: dict[str, float], flags: str, expected: list[str]
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    settings = Settings("http://mlflow", "digits", 1, None, Path("/none"), engine=engine, precision=precision)
    record = VersionRecord("digits", 1, "run", "", [], 160, drop)
    said: list[str] = []
    assert names(choose(settings, record, said.append, tmp_path / "cpuinfo", CPU)) == expected
    asked_in_vain = precision not in ("auto", "fp32") and not expected[0].endswith(precision)
    assert len(said) == asked_in_vain and all("stays at fp32" in line for line in said)


def test_a_gpu_goes_before_the_processor_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(WITH_BOTH)
    settings = Settings("http://mlflow", "digits", 1, None, Path("/none"))

    def auto(drop: dict[str, float], providers: tuple[str, ...], precision: str = "auto") -> list[str]:
        asked = Settings(**(settings.__dict__ | {"precision": precision}))
        record = VersionRecord("digits", 1, "run", "", [], 160, drop)
        return names(choose(asked, record, print, tmp_path / "cpuinfo", providers))

    assert auto(BOTH, GPU) == ["tensorrt fp32", "cuda fp32", *INT8]
    assert auto(BOTH, GPU[1:]) == ["cuda fp32", *INT8]
    assert auto({"fp16": 0.001}, GPU) == ["tensorrt fp16", "tensorrt fp32", "cuda fp32", "onnxruntime fp32"]
    assert auto(BOTH, GPU, "int8")[0] == "openvino int8", "who names a precision gets it first"
