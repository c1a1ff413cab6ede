"""What a lower precision costs, measured with the engine that serves it.

The server computes in bf16 only where the version says that this was measured and costs little (tag `precision_drop`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from trainer.datasets.model import Sample
from trainer.measure import Measurement, measure
from trainer.progress import say
from trainer.runtime import cpu_count

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


class OpenVinoDetector:
    """An ONNX file in OpenVINO, on the CPU, in bf16; with the options of model_repository/yolo's runners.py."""

    def __init__(self, file: Path) -> None:
        """Compile the model.

        Raises:
            RuntimeError: OpenVINO cannot.
        """
        # Its import would otherwise start a process that posts to an analytics service; OpenVINO does without.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": cpu_count(),
            "ENABLE_CPU_PINNING": False,
        }
        self._request = openvino.Core().compile_model(str(file), "CPU", options).create_infer_request()

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """See ``Detector``."""
        return np.asarray(self._request.infer({0: batch})[0])


def has_bf16(cpu_info: Path = CPU_INFO) -> bool:
    """Whether this processor computes in bf16; without that, OpenVINO computes in FP32 whatever it is told."""
    if not cpu_info.exists():
        return False
    lines = cpu_info.read_text(encoding="ascii", errors="replace").splitlines()
    return any(line.startswith("flags") and BF16_FLAGS & set(line.split()) for line in lines)


def precision_drop(
    file: Path,
    reference: Measurement,
    samples: list[Sample],
    names: list[str],
    image_size: int,
    cpu_info: Path = CPU_INFO,
) -> dict[str, float]:
    """How much mAP50-95 falls in each lower precision that could be measured here; negative where it rises.

    Args:
        file: the ONNX.
        reference: its measurement in FP32 on the same samples.
        samples, names, image_size: see ``measure``.
        cpu_info: what the kernel says of the processor.
    """
    if not has_bf16(cpu_info):
        say("Not measured in bf16, which this processor does not compute in: the version will be served in FP32")
        return {}
    try:
        detector = OpenVinoDetector(file)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        say(f"Not measured in bf16, because OpenVINO cannot load the ONNX ({reason}): the version stays at FP32")
        return {}
    found = measure(detector, samples, names, image_size)
    drop = round(reference.map50_95 - found.map50_95, 6)
    say(f"candidate in bf16: mAP50-95 {found.map50_95:.4f} ({reference.map50_95:.4f} in FP32)")
    return {"bf16": drop}
