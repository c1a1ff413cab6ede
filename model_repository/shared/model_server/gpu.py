"""Run an ONNX model on a GPU: with ONNX Runtime's CUDA or TensorRT provider."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model_server.choice import PROVIDERS, Choice
from model_server.errors import LoadError, one_line
from model_server.runners import Images, as_floats

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True)
class Gpu:
    """Which GPU, and where TensorRT keeps what it builds.

    Attributes:
        device: its number, as the container sees it.
        engines: folder of this model's compiled engines, which take minutes to build. TensorRT's provider does not tell
            two models of one architecture apart, so each needs its own.
    """

    device: int
    engines: Path


class GpuRunner:
    """ONNX Runtime on a GPU. Images of one execution are stacked, which on a GPU costs little more than one."""

    def __init__(self, content: bytes, choice: Choice, gpu: Gpu) -> None:
        """Loads the model onto the GPU.

        Raises:
            LoadError: ONNX Runtime here has no such provider, or it cannot use the GPU.
        """
        self._session = _open(content, choice, gpu)
        self._input: str = self._session.get_inputs()[0].name
        self._output: str = self._session.get_outputs()[0].name
        self._dtype = np.float16 if self._session.get_inputs()[0].type == "tensor(float16)" else np.float32

    def alone(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        values = as_floats(images).astype(self._dtype, copy=False)
        output: NDArray[Any] = self._session.run([self._output], {self._input: values})[0]
        return output

    def beside(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        return self.alone(images)

    def close(self) -> None:
        """See Runner."""


def _open(content: bytes, choice: Choice, gpu: Gpu) -> "onnxruntime.InferenceSession":
    import onnxruntime

    wanted, there = PROVIDERS[choice.engine], onnxruntime.get_available_providers()
    remedy = (
        "serve with an image that has onnxruntime-gpu and give the pod a GPU (the chart's gpu.resourceName), or set "
        "MODEL_ENGINE to auto"
    )
    if wanted not in there:
        raise LoadError(
            f"{choice.engine} cannot run the model: ONNX Runtime {onnxruntime.__version__} here has no {wanted} (it "
            f"has {', '.join(there)}): {remedy}"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # what waits for the GPU needs no more
    try:
        session = onnxruntime.InferenceSession(content, options, providers=_providers(choice, gpu))
        session.disable_fallback()
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise LoadError(
            f"{choice.engine} cannot run the model on GPU {gpu.device} ({one_line(error)[:300]}): {remedy}"
        ) from error
    # Where a provider cannot start, ONNX Runtime only warns and computes on the processor.
    used = session.get_providers()[0]
    if used != wanted:
        raise LoadError(
            f"{choice.engine} cannot run the model on GPU {gpu.device}: ONNX Runtime fell back to {used}, and the "
            f"warning before this line says why (no driver, or its libraries are not found): {remedy}"
        )
    return session


def _providers(choice: Choice, gpu: Gpu) -> list[tuple[str, dict[str, Any]]]:
    """The provider with its options; TensorRT leaves to CUDA what it does not know."""
    cuda = ("CUDAExecutionProvider", {"device_id": gpu.device})
    if choice.engine == "cuda":
        return [cuda]
    gpu.engines.mkdir(parents=True, exist_ok=True)
    return [
        (
            "TensorrtExecutionProvider",
            {
                "device_id": gpu.device,
                "trt_fp16_enable": choice.precision == "fp16",
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": str(gpu.engines),
                "trt_timing_cache_enable": True,
                "trt_timing_cache_path": str(gpu.engines),
            },
        ),
        cuda,
    ]
