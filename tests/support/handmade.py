"""Runs in the training environment: writes a small detector for the monitoring tests, one file a seed.

    .venv/trainer/bin/python make_detector.py FILE [FILE ...]

It has YOLO's input and output and starts in a second. Images of more than LARGEST pixels a side make its inference
fail, as a broken export does.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 2
STRIDE = 32
LARGEST = 320


def detector(seed: int) -> onnx.ModelProto:
    """A model `images` [N, 3, H, W] → `output0` [N, 4 + classes, anchors], one anchor a cell of 32 pixels."""
    channels, cells = 4 + CLASSES, LARGEST // STRIDE
    constants: dict[str, np.ndarray] = {
        "weights": np.random.default_rng(seed).normal(0, 0.02, (channels, 3, STRIDE, STRIDE)).astype(np.float32),
        # Added to every cell; there are no more of them, hence the limit.
        "table": np.zeros((1, 1, cells, cells), np.float32),
        "zero_zero": np.array([0, 0], np.int64),
        "height_width": np.array([2, 3], np.int64),
        "shape": np.array([0, channels, -1], np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "weights"], ["features"], strides=[STRIDE, STRIDE]),
            helper.make_node("Shape", ["features"], ["size"], start=2, end=4),
            helper.make_node("Slice", ["table", "zero_zero", "size", "height_width"], ["cells"]),
            helper.make_node("Add", ["features", "cells"], ["sums"]),
            helper.make_node("Sigmoid", ["sums"], ["scores"]),
            helper.make_node("Reshape", ["scores", "shape"], ["output0"]),
        ],
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", channels, "anchors"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (("stride", str(STRIDE)), ("names", "{0: 'zero', 1: 'one'}"), ("imgsz", "[160, 160]")):
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    for number, file in enumerate(sys.argv[1:]):
        onnx.save(detector(number), file)
