"""Says which version of itself answered; reads nothing of the body."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Triton's interface."""

    def initialize(self, args: dict[str, str]) -> None:
        """Takes the parameter `version`."""
        version = json.loads(args["model_config"])["parameters"]["version"]["string_value"]
        self._answer = np.array([int(version)], np.int32)

    def execute(self, requests: list) -> list:
        """One answer a request."""
        return [pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("version", self._answer)]) for _ in requests]
