"""torchvision's networks as architectures of Ultralytics, and a trained classifier in PyTorch.

``resnet18`` becomes an architecture file of two layers: torchvision's network up to its last feature map, with random
weights, and Ultralytics' head ``Classify``, as in its own ``yolo11-cls-resnet18.yaml`` (which downloads weights).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from trainer.architecture import read_architecture
from trainer.errors import InputError

EXAMPLE = "yolo11n-cls.yaml"
HEAD = "Classify"
# torchvision's modules of networks that are convolutions up to a feature map. (Transformers are not, and the
# networks of googlenet and inception have side branches.)
MODULES = (
    "alexnet",
    "convnext",
    "densenet",
    "efficientnet",
    "mnasnet",
    "mobilenetv2",
    "mobilenetv3",
    "regnet",
    "resnet",
    "shufflenetv2",
    "squeezenet",
    "vgg",
)
# The layers behind the feature map, by their names in torchvision.
BEHIND = frozenset({"avgpool", "fc", "classifier"})
REGISTERED = re.compile(r"^@register_model\(\)\n.*?^def (\w+)\(", re.MULTILINE | re.DOTALL)


@functools.cache
def torchvision_networks() -> frozenset[str]:
    """Names of the networks that can be trained, read from torchvision's files without importing it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise RuntimeError("torchvision is not installed in this image.")
    folder = Path(spec.origin).parent / "models"
    texts = ((folder / f"{module}.py").read_text(encoding="utf-8") for module in MODULES)
    return frozenset(name for text in texts for name in REGISTERED.findall(text))


def check_architecture(model: str, workspace: Path) -> None:
    """Raise InputError where ``model`` is neither a network of torchvision nor the architecture of a classifier."""
    if model in torchvision_networks():
        return
    head, content = read_architecture(model, workspace, EXAMPLE)
    name = Path(model).name
    if head != HEAD:
        raise InputError(
            f"The architecture {name!r} ends in {head}: it is no classifier, which is what the task classify trains "
            f"and serves. Give one such as {EXAMPLE}, or a network of torchvision, such as resnet18."
        )
    for layer in content.get("backbone") or []:
        if layer[-2] == "TorchVision" and len(layer[-1]) > 2 and layer[-1][2] is not None:
            raise InputError(
                f"The architecture {name!r} downloads the weights of torchvision's {layer[-1][1]}, and nothing is "
                f"downloaded while a model is made. Give --model={layer[-1][1]}, which begins with random weights."
            )


def check_layers(model: Any, name: str) -> None:
    """Raise InputError where a loaded model is no classifier; ``name``: of its weights."""
    head = type(model.model[-1]).__name__
    if head != HEAD:
        raise InputError(
            f"The weights {name} end in {head}: they are no classifier's, which is what the task classify trains and "
            "serves. Give a classifier's, such as yolo11n-cls.pt."
        )


def write_architecture(network: str, folder: Path, image_size: int) -> Path:
    """Write the architecture file of one of torchvision's networks into ``folder``.

    Raises:
        InputError: images of that size are too small for it.
    """
    import torch
    import torchvision

    made = torchvision.models.get_model(network, weights=None)
    cut = sum(name in BEHIND for name, _ in made.named_children())
    from ultralytics.nn.modules.block import TorchVision

    no_weights: Any = None
    trunk = TorchVision(network, weights=no_weights, unwrap=True, truncate=cut).eval()
    try:
        with torch.inference_mode():
            channels = int(trunk(torch.zeros(1, 3, image_size, image_size)).shape[1])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"Images of {image_size} pixels are too small for torchvision's {network} ({reason}). "
            "Set a larger --image-size, or take another network."
        ) from error
    layers = {
        "nc": 1000,  # Ultralytics puts the dataset's number in its place
        "backbone": [[-1, 1, "TorchVision", [channels, network, None, True, cut]]],
        "head": [[-1, 1, HEAD, ["nc"]]],
    }
    file = folder / "architecture.yaml"
    scratch = file.with_suffix(".part")
    scratch.write_text(yaml.safe_dump(layers), encoding="utf-8")
    scratch.replace(file)
    return file


@functools.cache
def trust() -> None:
    """Let torch load torchvision's layers from a .pt file: they are in the checkpoints of its networks.

    Ultralytics' restricted loading knows its own layers and torch's alone. These are layers, too, and run nothing
    while they are loaded.
    """
    import torch
    import torchvision.models
    import torchvision.ops

    # It registers an operator for detection: see runtime.register_nms, which has run.
    modules = [importlib.import_module(f"torchvision.models.{name}") for name in MODULES]
    modules += [
        importlib.import_module(f"torchvision.ops.{found.name}")
        for found in pkgutil.iter_modules(torchvision.ops.__path__)
        if found.name in ("misc", "stochastic_depth")
    ]
    layers: list[Any] = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, torch.nn.Module)
        and value.__module__.startswith("torchvision.")
    ]
    torch.serialization.add_safe_globals(layers)


class TorchClassifier:
    """The PyTorch model of a weights file, on the CPU in FP32."""

    def __init__(self, weights: Path) -> None:
        from ultralytics.nn.tasks import load_checkpoint

        trust()
        model, _ = load_checkpoint(str(weights))
        self._model = model.float().cpu().eval()

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """Batch (n, 3, h, w) FP32 RGB 0–1 to probabilities (n, classes)."""
        import torch

        with torch.inference_mode():
            output = self._model(torch.from_numpy(batch))
        return (output[0] if isinstance(output, (tuple, list)) else output).numpy()
