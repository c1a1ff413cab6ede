"""What a lower precision costs, measured with the engine that serves it.

The server computes in bf16 or INT8 only where the version says that this was measured and costs little (tag
`precision_drop`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.networks import Network
from trainer.progress import say
from trainer.quantization import unpack
from trainer.runtime import cpu_count

CPU_INFO = Path("/proc/cpuinfo")
# Flags of processors that compute in a precision, as the server's choose.py has them; on others nothing is gained.
FLAGS = {"int8": {"avx512_vnni", "avx_vnni", "amx_int8"}, "bf16": {"avx512_bf16", "amx_bf16"}}
# INT8 is in the quantized file itself; the hint is for what that file leaves in floats.
HINTS = {"int8": "f32", "bf16": "bf16"}
# Most that the decisive figure of a task (of detectors, mAP50-95) may fall for the server to compute so, as its
# choose.py has it.
MOST_DROP = 0.005


class OpenVinoNetwork:
    """A model file in OpenVINO, on the CPU; with the options of model_repository/yolo's runners.py."""

    def __init__(self, file: Path, precision: str = "bf16", side: int | None = None) -> None:
        """Compile the model.

        Args:
            file: the ONNX, or the INT8 file.
            precision: ``bf16`` or ``int8``.
            side: compile it for one square image of this size alone, as the server does for a size that comes often:
                it then rounds elsewhere, because more of its layers are fused. None: for any.

        Raises:
            RuntimeError: OpenVINO cannot.
        """
        # Its import would otherwise start a process that posts to an analytics service; OpenVINO does without.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": cpu_count(),
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        model = core.read_model(*unpack(file)) if precision == "int8" else core.read_model(str(file))
        self._one_by_one = side is not None
        if side is not None:
            model.reshape([1, 3, side, side])
        self._request = core.compile_model(model, "CPU", options).create_infer_request()

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        parts = np.split(batch, len(batch)) if self._one_by_one else [batch]
        return np.concatenate([np.array(self._request.infer({0: part})[0]) for part in parts])


def computes_in(precision: str, cpu_info: Path = CPU_INFO) -> bool:
    """Whether this processor computes in a precision; without that, OpenVINO does so slowly, or in FP32."""
    if not cpu_info.exists():
        return False
    lines = cpu_info.read_text(encoding="ascii", errors="replace").splitlines()
    return any(line.startswith("flags") and FLAGS[precision] & set(line.split()) for line in lines)


def candidates(file: Path, int8: Path | None) -> dict[str, Path]:
    """Which file is measured in which precision; ``int8``: the quantized one, if there is one."""
    return {"bf16": file} | ({"int8": int8} if int8 else {})


@dataclass(frozen=True)
class Lower:
    """The model in a lower precision, in both ways that the server compiles it, and how much worse it is at most.

    ``drop``: of the task's decisive figure; negative where it rises.
    """

    networks: tuple[OpenVinoNetwork, ...]
    drop: float

    @property
    def served(self) -> bool:
        """Whether the server may compute so."""
        return self.drop <= MOST_DROP


def measure_lower(
    files: dict[str, Path],
    reference: float,
    measure: Callable[[Network], float],
    figure: str,
    image_size: int,
    cpu_info: Path = CPU_INFO,
) -> dict[str, Lower]:
    """What each lower precision costs that could be measured here.

    Args:
        files: the ONNX for each precision.
        reference: the figure in FP32 on the same samples.
        measure: measures a network.
        figure: the figure's name.
        image_size: of the training, in pixels.
        cpu_info: what the kernel says of the processor.
    """
    found = {}
    for precision, file in files.items():
        if not computes_in(precision, cpu_info):
            say(f"Not measured in {precision}, which this processor does not compute in: it will not be served so")
            continue
        try:
            networks = tuple(OpenVinoNetwork(file, precision, side) for side in (None, image_size))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            say(f"Not measured in {precision}, because OpenVINO cannot load the ONNX ({reason}): not served so")
            continue
        least = min(measure(network) for network in networks)
        found[precision] = Lower(networks, round(reference - least, 6))
        say(f"candidate in {precision}: {figure} {least:.4f} ({reference:.4f} in FP32)")
    return found
