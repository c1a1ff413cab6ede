"""Whether a GPU computes in mixed precision without anomalies, found out without a network.

Ultralytics downloads a published model for this into a folder that is relative to the working directory, which the
pod's user cannot write: every training on a GPU ended there. What the check looks for are GPUs whose FP16 arithmetic
gives NaN or noise, and any network shows those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from ultralytics.engine import trainer as engine
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import autocast

from trainer.progress import say

NETWORK = "yolo11n.yaml"
IMAGES = (4, 3, 128, 128)
# Of the outputs, relative to their size. In FP16 on a CPU 0.02 to 0.03, with whichever random weights.
LARGEST_ERROR = 0.1
# GPUs that are known for it, as Ultralytics lists them (ultralytics/utils/checks.py, check_amp).
FAULTY = re.compile(
    r"(nvidia|geforce|quadro|tesla).*?(1660|1650|1630|t400|t550|t600|t1000|t1200|t2000|k40m)", re.IGNORECASE
)


def install() -> None:
    """Let Ultralytics' trainer ask here."""
    engine.check_amp = can_mix


def can_mix(model: torch.nn.Module) -> bool:
    """Whether the device of ``model`` gives in mixed precision what it gives in FP32, but for rounding."""
    device = next(model.parameters()).device
    if device.type != "cuda":
        return False  # Ultralytics mixes on accelerators alone
    name = torch.cuda.get_device_name(device)
    error = float("inf") if FAULTY.search(name) else mixing_error(device)
    if error > LARGEST_ERROR:
        say(f"Warning: {name} computes wrongly in mixed precision (error {error:.2f}); training in FP32")
    return error <= LARGEST_ERROR


def mixing_error(device: torch.device) -> float:
    """The largest relative difference that mixed precision makes to an output of a random network; inf for NaN."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        # In training mode its layers normalise what they get, so that no random weights let values vanish or explode.
        network = DetectionModel(NETWORK, verbose=False).to(device).train()
        images = torch.rand(IMAGES).to(device)
        exact = list(_tensors(network(images)))
        with autocast(enabled=True, device=device.type):
            mixed = list(_tensors(network(images)))
    errors = [float((one - other.float()).norm() / one.norm()) for one, other in zip(exact, mixed, strict=True)]
    return max(error if error == error else float("inf") for error in errors)


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    """All tensors of a network's nested output, in order."""
    if isinstance(output, torch.Tensor):
        yield output
        return
    for item in output.values() if isinstance(output, dict) else output:
        yield from _tensors(item)
