"""Runs in the training environment: exports small real YOLOs for the serving tests, with what PyTorch finds.

    .venv/trainer/bin/python make_models.py OUT [ARCHITECTURE ...]

writes OUT/<architecture>.onnx and OUT/<architecture>.npz: `images_<size>` (n, 3, size, size) and, for each image i,
`expected_<size>_<i>` (k, 6), what Ultralytics' non_max_suppression gives for PyTorch's output. And by hand, without
weights: toy.onnx, whose answer can be worked out in one's head, toy_fixed.onnx, the same for two images of 64 pixels
only, and classifier.onnx, which is no detector.
"""

import os
import sys
from pathlib import Path

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}

import numpy as np
import onnx
import torch
from ultralytics import YOLO
from ultralytics.utils.nms import non_max_suppression

SIZES = (160, 224)
IMAGES = 3


def lively(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Makes an untrained network find some dozens of boxes: spreads its class scores and its box sizes."""
    head = network.model[-1]
    for name, shift in (("cv2", 0.0), ("one2one_cv2", 0.0), ("cv3", -4.0), ("one2one_cv3", -4.0)):
        for level in getattr(head, name, None) or ():
            spread(network, level[-1], images, shift)


def spread(network: torch.nn.Module, layer: torch.nn.Conv2d, images: torch.Tensor, shift: float) -> None:
    """Gives each channel of a layer standard deviation 1 around its bias (or around `shift`) on these images."""
    outputs: list[torch.Tensor] = []
    bias = layer.bias.detach().clone() if shift == 0 else torch.full_like(layer.bias, shift)
    hook = layer.register_forward_hook(lambda module, _, output: outputs.append(output))
    with torch.no_grad():
        layer.weight.normal_()
        layer.bias.zero_()
        network(images)
        deviation, mean = torch.std_mean(outputs[0], (0, 2, 3))
        layer.weight /= deviation.reshape(-1, 1, 1, 1)
        layer.bias.copy_(bias - mean / deviation)
    hook.remove()


def blurred_noise(random: np.random.Generator, size: int) -> torch.Tensor:
    """Images (n, 3, size, size), 0-1, with structure at several scales."""
    coarse = [torch.from_numpy(random.random((IMAGES, 3, cells, cells), np.float32)) for cells in (4, 12, 40)]
    scales = [torch.nn.functional.interpolate(cells, (size, size), mode="bilinear") for cells in coarse]
    return torch.stack(scales).mean(0).clamp(0, 1)


def toy(batch: int | str, side: int | str) -> onnx.ModelProto:
    """Finds class 0 in [12, 20, 28, 28] as surely as the image is red, class 1 in [35, 30, 45, 50] as it is green."""
    # (1, 4, 2): centre x, y, width, height of two anchors.
    boxes = np.array([[[20, 40], [24, 40], [16, 10], [8, 20]]], np.float32)
    nodes = [
        onnx.helper.make_node("ReduceMean", ["images", "pixels"], ["means"], keepdims=0),
        onnx.helper.make_node("Slice", ["means", "start", "end", "channels"], ["red_green"]),
        onnx.helper.make_node("Unsqueeze", ["red_green", "last"], ["column"]),
        onnx.helper.make_node("Mul", ["column", "diagonal"], ["scores"]),
        onnx.helper.make_node("ReduceMax", ["scores", "both"], ["most"], keepdims=1),
        onnx.helper.make_node("Mul", ["most", "nought"], ["zero"]),
        onnx.helper.make_node("Add", ["zero", "boxes"], ["placed"]),
        onnx.helper.make_node("Concat", ["placed", "scores"], ["output0"], axis=1),
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
    return by_hand(nodes, constants, [batch, 3, side, side], [batch, 6, 2])


def by_hand(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], images: list[int | str], output: list[int | str]
) -> onnx.ModelProto:
    """A model from `images` to `output0`."""
    graph = onnx.helper.make_graph(
        nodes,
        "by_hand",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, images)],
        [onnx.helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, output)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.helper.set_model_props(model, {"names": "{0: 'red', 1: 'green'}", "stride": "32", "imgsz": "[64, 64]"})
    onnx.checker.check_model(model)
    return model


def main(out: Path, architectures: list[str]) -> None:
    """Exports every architecture with dynamic axes."""
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(toy("batch", "side"), out / "toy.onnx")
    onnx.save(toy(2, 64), out / "toy_fixed.onnx")
    mean = onnx.helper.make_node("ReduceMean", ["images", "pixels"], ["output0"], keepdims=0)
    onnx.save(
        by_hand([mean], {"pixels": np.array([2, 3], np.int64)}, ["n", 3, "h", "w"], ["n", 3]), out / "classifier.onnx"
    )
    random = np.random.default_rng(0)
    for architecture in architectures:
        torch.manual_seed(0)
        model = YOLO(f"{architecture}.yaml", task="detect")
        network = model.model.eval()
        network.end2end = "26" in architecture
        sets = {size: blurred_noise(random, size) for size in SIZES}
        lively(network, sets[SIZES[-1]])
        os.chdir(out)
        exported = Path(model.export(format="onnx", dynamic=True, imgsz=160, nms=False, simplify=False, device="cpu"))
        exported.replace(out / f"{architecture}.onnx")
        arrays: dict[str, np.ndarray] = {}
        network.end2end = "26" in architecture
        for size, images in sets.items():
            with torch.no_grad():
                output = network(images)
            output = output[0] if isinstance(output, tuple) else output
            arrays[f"images_{size}"] = images.numpy()
            for index, rows in enumerate(non_max_suppression(output, 0.25, 0.7)):
                arrays[f"expected_{size}_{index}"] = rows.numpy()
                print(architecture, size, index, tuple(output.shape), len(rows), rows[:1].tolist())
        np.savez(out / f"{architecture}.npz", **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
