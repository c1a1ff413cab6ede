"""Runs in the training environment: exports small real YOLOs for the serving tests, with what PyTorch finds.

    .venv/trainer/bin/python make_models.py OUT ARCHITECTURE [ARCHITECTURE ...]

writes OUT/<architecture>.onnx and OUT/<architecture>.npz: `images_<size>` (n, 3, size, size) and, for each image i,
`expected_<size>_<i>` (k, 6), what Ultralytics' non_max_suppression gives for PyTorch's output.
"""

import os
import sys
from pathlib import Path

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}

import numpy as np
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


def main(out: Path, architectures: list[str]) -> None:
    """Exports every architecture with dynamic axes."""
    out.mkdir(parents=True, exist_ok=True)
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
