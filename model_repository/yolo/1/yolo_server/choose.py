"""Which engine and precision run the model: the fastest whose loss the evaluation has shown to be small."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from yolo_server.registry import VersionRecord
from yolo_server.settings import Settings

# Most that mAP50-95 may fall against FP32 on the held-out split, for a lower precision to be used.
MOST_DROP = 0.005


def choose(
    settings: Settings, record: VersionRecord, log: Callable[[str], None], cpu_info: Path = Path("/proc/cpuinfo")
) -> tuple[str, str]:
    """Engine and precision for a version.

    Without a figure on the version (tag `precision_drop`, a JSON object such as {"bf16": 0.001}) it stays at FP32.
    """
    if settings.precision == "fp32" or settings.engine == "onnxruntime":
        return ("openvino" if settings.engine == "openvino" else "onnxruntime"), "fp32"
    obstacle = _obstacle_to_bf16(record, cpu_info)
    if obstacle is None:
        return "openvino", "bf16"
    if settings.precision == "bf16":
        log(f"stays at fp32 although MODEL_PRECISION is bf16: {obstacle}")
    return ("openvino" if settings.engine == "openvino" else "onnxruntime"), "fp32"


def _obstacle_to_bf16(record: VersionRecord, cpu_info: Path) -> str | None:
    drop = record.precision_drop.get("bf16")
    if drop is None:
        return "the version has no tag precision_drop with a figure for bf16; evaluate it in bf16 first"
    if not drop <= MOST_DROP:
        return f"the evaluation found a loss of {drop:g} in mAP50-95, and at most {MOST_DROP:g} is taken"
    if importlib.util.find_spec("openvino") is None:
        return "OpenVINO is not installed"
    flags = cpu_info.read_text(encoding="ascii", errors="replace") if cpu_info.exists() else ""
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        return "this processor does not compute in bf16, so that it would be slower"
    return None
