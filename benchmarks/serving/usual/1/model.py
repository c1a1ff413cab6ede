"""What tutorials serve an ONNX file with on Triton's Python backend: one `run` a request, nothing before or after it.

Written for the comparison, and fairly: its threads are as many as the processors, like those of the bare engine beside
it. Letterbox and non-maximum suppression are left to the client, whose work for that is not in the figures.
"""

import os

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One ONNX Runtime session."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads model.onnx, which lies beside this file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")  # noqa: PTH118
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def execute(self, requests: list) -> list:
        """Runs each request by itself."""
        responses = []
        for request in requests:
            images = pb_utils.get_input_tensor_by_name(request, "images").as_numpy()
            output = self._session.run(None, {self._input: images})[0]
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("output0", output)]))
        return responses
