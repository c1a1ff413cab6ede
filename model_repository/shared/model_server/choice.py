"""What may run a model: an engine and a precision."""

from dataclasses import dataclass

# What ONNX Runtime calls the engines that need a GPU.
PROVIDERS = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class Choice:
    """An engine and the precision that it computes in."""

    engine: str
    precision: str

    @property
    def on_gpu(self) -> bool:
        """Whether the engine needs a GPU."""
        return self.engine in PROVIDERS

    def __str__(self) -> str:
        return f"{self.engine} in {self.precision}"
