"""A network as it is served: a batch of pictures in, raw predictions out, whatever runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from trainer.runtime import cpu_count


class Network(Protocol):
    """Anything that turns a batch into raw predictions."""

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """Batch (n, 3, h, w) FP32 RGB 0–1 to predictions, whose shape is the task's."""


class OnnxNetwork:
    """An ONNX file in ONNX Runtime, on the CPU."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu_count()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """See ``Network``."""
        return np.asarray(self._session.run(None, {self._input: batch})[0])


def to_batch(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures (h, w, 3) of bytes, all of one size, to a batch (n, 3, h, w) FP32 0–1."""
    stacked = np.stack(pictures).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked, dtype=np.float32) / np.float32(255)
