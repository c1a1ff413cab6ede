"""Questions to a model by tritonclient itself."""

from typing import Any

import numpy as np
import tritonclient.http as http
from tritonclient.utils import np_to_triton_dtype

from tests.support.triton import Triton


def ask(triton: Triton, model: str, **inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Detections of one request with these inputs, sent by tritonclient itself."""
    entries = []
    for name, value in inputs.items():
        entries.append(http.InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype)))
        entries[-1].set_data_from_numpy(value)
    with http.InferenceServerClient(triton.http.removeprefix("http://")) as client:
        detections: np.ndarray[Any, Any] = client.infer(model, entries).as_numpy("detections")
    return detections
