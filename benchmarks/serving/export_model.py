"""Runs in the training environment: exports the network that every path of the benchmark runs.

    .venv/trainer/bin/python benchmarks/serving/export_model.py OUT.onnx ARCHITECTURE TENSORS.npy

TENSORS are the benchmark's own pictures, (n, 3, size, size), 0-1: those that every path is asked about, to the last
pixel, because an untrained network finds something else in a picture that is only scaled by another filter.

No weights can be downloaded on every machine, so the network is untrained, seeded, and made lively: batch normalisation
takes its statistics from these pictures, class scores are spread and shifted so that about `CANDIDATES`
anchors of a picture pass the server's confidence threshold of 0.25, and box sizes are spread. Which boxes come out is
meaningless; how much work each layer and the non-maximum suppression have is that of a trained detector on a busy
picture. Then it is quantized as the training does it, on the same pictures. Prints one JSON object: candidates found
for each picture.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0"}

import numpy as np
import torch

CANDIDATES = 60
INT8 = "model.int8.zip"
CONFIDENCE = 0.25


def patch_torchvision() -> None:
    """Gives torchvision its operator where its build and torch's differ (a CPU torch with torchvision for CUDA)."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

        @torch.library.impl(library, "nms", "CPU")
        def nms(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
            from ultralytics.utils.nms import TorchNMS

            return TorchNMS.nms(boxes, scores, threshold)


def take_statistics(network: torch.nn.Module, images: torch.Tensor) -> None:
    """Lets batch normalisation see the pictures, as it does in training; else activations die out layer by layer."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()
    with torch.no_grad():
        network(images)
    network.eval()


def spread(network: torch.nn.Module, layer: torch.nn.Conv2d, images: torch.Tensor) -> None:
    """Draws a layer's weights anew, so that each of its channels has standard deviation 1 around its bias."""
    outputs: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, _, output: outputs.append(output))
    assert layer.bias is not None
    bias = layer.bias.detach().clone()
    with torch.no_grad():
        layer.weight.normal_()
        layer.bias.zero_()
        network(images)
        deviation, mean = torch.std_mean(outputs[0], (0, 2, 3))
        layer.weight /= deviation.reshape(-1, 1, 1, 1)
        layer.bias.copy_(bias - mean / deviation)
    hook.remove()


def best_scores(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """For each picture and anchor the logit of its best class, (n, anchors)."""
    with torch.no_grad():
        output: Any = network(images)
    raw: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return torch.logit(raw[:, 4:].double()).amax(1)


def make_lively(network: torch.nn.Module, images: torch.Tensor) -> list[int]:
    """Spreads scores and sizes, then shifts all scores so that CANDIDATES anchors pass; returns how many do."""
    head: Any = network.model[-1]
    levels = [level[-1] for level in head.cv3]
    for layer in [level[-1] for level in head.cv2] + levels:
        spread(network, layer, images)
    scores = best_scores(network, images)
    wanted = np.log(CONFIDENCE / (1 - CONFIDENCE))
    threshold = float(scores.flatten().sort(descending=True).values[CANDIDATES * len(images)])
    with torch.no_grad():
        for layer in levels:
            layer.bias += wanted - threshold
    return (best_scores(network, images) > wanted).sum(1).tolist()


def quantize(file: Path, images: torch.Tensor, size: int) -> None:
    """Writes the INT8 file beside an export, and notes it there.

    Raises:
        SystemExit: it cannot be quantized.
    """
    from PIL import Image

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker" / "trainer"))
    from trainer.datasets.model import Sample
    from trainer.quantization import add_int8
    from trainer.tasks import find

    task = find("detect")
    with tempfile.TemporaryDirectory() as name:
        samples = []
        for number, image in enumerate(images):
            path = Path(name) / f"{number}.png"
            Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)
            samples.append(Sample(path.name, path, None))
        if add_int8(file, samples, size, task.read, task.in_floats) is None:
            sys.exit(1)


def main(target: Path, architecture: str, tensors: Path) -> None:
    """Exports with dynamic batch, height and width; the file is at `target` only once it is whole."""
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(f"{architecture}.yaml", task="detect", verbose=False)
    network = model.model
    images = torch.from_numpy(np.load(tensors))
    size = images.shape[-1]
    take_statistics(network, images)
    found = make_lively(network, images)
    target.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(target.parent)
    made = Path(model.export(format="onnx", dynamic=True, imgsz=size, device="cpu", verbose=False))
    quantize(made, images, size)
    made.with_name(INT8).replace(target.with_name(INT8))
    made.replace(target)
    print(json.dumps({"candidates": found}))


if __name__ == "__main__":
    patch_torchvision()
    main(Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3]).resolve())
