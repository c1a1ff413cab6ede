"""Runs in the training environment: writes ONNX models made by hand, without weights to learn; a second for all.

    .venv/trainer/bin/python tests/support/training/handmade.py OUT

writes into the folder OUT:

- toy.onnx: a detector whose answer can be worked out in one's head; toy_fixed.onnx: the same for two images of 64
  pixels only;
- classifier.onnx: no detector;
- colours.onnx: a classifier as Ultralytics exports one, of red, green and blue pictures of 64 pixels;
- limited_0.onnx, limited_1.onnx: small detectors that differ in their weights. Images of more than LARGEST pixels a
  side make their inference fail, as a broken export does.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Sizes = list[int | str]
STRIDE = 32
LARGEST = 320


def made(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    images: Sizes,
    output: Sizes,
    notes: dict[str, str],
) -> onnx.ModelProto:
    """A model from `images` to `output0`, with what an export notes of itself."""
    graph = helper.make_graph(
        nodes,
        "by_hand",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, images)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"stride": str(STRIDE)} | notes)
    onnx.checker.check_model(model)
    return model


COLOURS = {"names": "{0: 'red', 1: 'green'}", "imgsz": "[64, 64]"}


def toy(batch: int | str, side: int | str) -> onnx.ModelProto:
    """Finds class 0 in [12, 20, 28, 28] as surely as the image is red, class 1 in [35, 30, 45, 50] as it is green."""
    # (1, 4, 2): centre x, y, width, height of two anchors.
    boxes = np.array([[[20, 40], [24, 40], [16, 10], [8, 20]]], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images", "pixels"], ["means"], keepdims=0),
        helper.make_node("Slice", ["means", "start", "end", "channels"], ["red_green"]),
        helper.make_node("Unsqueeze", ["red_green", "last"], ["column"]),
        helper.make_node("Mul", ["column", "diagonal"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "both"], ["most"], keepdims=1),
        helper.make_node("Mul", ["most", "nought"], ["zero"]),
        helper.make_node("Add", ["zero", "boxes"], ["placed"]),
        helper.make_node("Concat", ["placed", "scores"], ["output0"], axis=1),
    ]
    constants: dict[str, np.ndarray] = {
        "pixels": np.array([2, 3], np.int64),
        "start": np.array([0], np.int64),
        "end": np.array([2], np.int64),
        "channels": np.array([1], np.int64),
        "last": np.array([2], np.int64),
        "both": np.array([1, 2], np.int64),
        "diagonal": np.eye(2, dtype=np.float32)[None],
        "nought": np.zeros(1, np.float32),
        "boxes": boxes,
    }
    return made(nodes, constants, [batch, 3, side, side], [batch, 6, 2], COLOURS)


def classifier() -> onnx.ModelProto:
    """The mean of each colour: (n, 3), which is no detector's output."""
    mean = helper.make_node("ReduceMean", ["images", "pixels"], ["output0"], keepdims=0)
    return made([mean], {"pixels": np.array([2, 3], np.int64)}, ["n", 3, "h", "w"], ["n", 3], COLOURS)


def colours() -> onnx.ModelProto:
    """Gives each colour's share of what a picture has of the three, (n, 3)."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "pixels"], ["means"], keepdims=0),
        helper.make_node("ReduceSum", ["means", "colours"], ["sum"], keepdims=1),
        helper.make_node("Div", ["means", "sum"], ["output0"]),
    ]
    constants: dict[str, np.ndarray] = {"pixels": np.array([2, 3], np.int64), "colours": np.array([1], np.int64)}
    notes = {"task": "classify", "names": "{0: 'red', 1: 'green', 2: 'navy blue'}", "imgsz": "[64, 64]"}
    return made(nodes, constants, ["batch", 3, 64, 64], ["batch", 3], notes)


def limited(seed: int, classes: int = 2) -> onnx.ModelProto:
    """A model `images` [N, 3, H, W] → `output0` [N, 4 + classes, anchors], one anchor a cell of 32 pixels."""
    channels, cells = 4 + classes, LARGEST // STRIDE
    constants: dict[str, np.ndarray] = {
        "weights": np.random.default_rng(seed).normal(0, 0.02, (channels, 3, STRIDE, STRIDE)).astype(np.float32),
        # Added to every cell; there are no more of them, hence the limit.
        "table": np.zeros((1, 1, cells, cells), np.float32),
        "zero_zero": np.array([0, 0], np.int64),
        "height_width": np.array([2, 3], np.int64),
        "shape": np.array([0, channels, -1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["features"], strides=[STRIDE, STRIDE]),
        helper.make_node("Shape", ["features"], ["size"], start=2, end=4),
        helper.make_node("Slice", ["table", "zero_zero", "size", "height_width"], ["cells"]),
        helper.make_node("Add", ["features", "cells"], ["sums"]),
        helper.make_node("Sigmoid", ["sums"], ["scores"]),
        helper.make_node("Reshape", ["scores", "shape"], ["output0"]),
    ]
    notes = {"names": "{0: 'zero', 1: 'one'}", "imgsz": "[160, 160]"}
    return made(nodes, constants, ["n", 3, "h", "w"], ["n", channels, "anchors"], notes)


def main(out: Path) -> None:
    """Writes them all."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(toy("batch", "side"), out / "toy.onnx")
    onnx.save(toy(2, 64), out / "toy_fixed.onnx")
    onnx.save(classifier(), out / "classifier.onnx")
    onnx.save(colours(), out / "colours.onnx")
    for seed in (0, 1):
        onnx.save(limited(seed), out / f"limited_{seed}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
