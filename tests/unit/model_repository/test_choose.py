"""Which engine and precision: never a lower precision that was not shown to be good enough."""

from pathlib import Path

import pytest
from yolo_server.choose import choose
from yolo_server.registry import VersionRecord
from yolo_server.settings import Settings

WITH_BF16, WITHOUT = "flags : fpu avx512_bf16 sse", "flags : fpu avx2 sse"
GOOD, AT_THE_LIMIT, BAD = {"bf16": 0.001}, {"bf16": 0.005}, {"bf16": 0.006}


@pytest.mark.parametrize(
    ("engine", "precision", "drop", "flags", "expected"),
    [
        ("auto", "auto", GOOD, WITH_BF16, ("openvino", "bf16")),
        ("auto", "auto", AT_THE_LIMIT, WITH_BF16, ("openvino", "bf16")),
        ("auto", "auto", {"bf16": -0.01}, WITH_BF16, ("openvino", "bf16")),
        ("auto", "auto", BAD, WITH_BF16, ("onnxruntime", "fp32")),
        ("auto", "auto", {"bf16": float("nan")}, WITH_BF16, ("onnxruntime", "fp32")),
        ("auto", "auto", {}, WITH_BF16, ("onnxruntime", "fp32")),
        ("auto", "auto", {"int8": 0.0}, WITH_BF16, ("onnxruntime", "fp32")),
        ("auto", "auto", GOOD, WITHOUT, ("onnxruntime", "fp32")),
        ("auto", "fp32", GOOD, WITH_BF16, ("onnxruntime", "fp32")),
        ("auto", "bf16", {}, WITH_BF16, ("onnxruntime", "fp32")),
        ("onnxruntime", "auto", GOOD, WITH_BF16, ("onnxruntime", "fp32")),
        ("openvino", "auto", GOOD, WITH_BF16, ("openvino", "bf16")),
        ("openvino", "auto", {}, WITH_BF16, ("openvino", "fp32")),
        ("openvino", "fp32", GOOD, WITH_BF16, ("openvino", "fp32")),
        ("openvino", "bf16", BAD, WITH_BF16, ("openvino", "fp32")),
    ],
)
def test_choice(
    tmp_path: Path, engine: str, precision: str, drop: dict[str, float], flags: str, expected: tuple[str, str]
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    settings = Settings("http://mlflow", "digits", 1, None, Path("/none"), engine=engine, precision=precision)
    record = VersionRecord("digits", 1, "run", "", [], 160, drop)
    said: list[str] = []
    assert choose(settings, record, said.append, tmp_path / "cpuinfo") == expected
    asked_in_vain = precision == "bf16" and expected[1] == "fp32"
    assert len(said) == asked_in_vain and all("stays at fp32" in line for line in said)
