"""Makes Ultralytics and torch behave in a container: no network look-ups, no telemetry, all the CPUs it has.

``start`` must run before the first import of torch or ultralytics, which read their settings at import.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
from pathlib import Path
from typing import Any

from trainer.whole import write_whole

CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cpu_count(limit_file: Path = CGROUP_CPU_LIMIT) -> int:
    """CPUs that this process may use: the affinity mask, cut down to the container's limit where it has one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit_file.read_text().split()
    except (OSError, ValueError):
        return count
    return count if quota == "max" else max(1, min(count, math.ceil(int(quota) / int(period))))


def start(workspace: Path) -> None:
    """Set up the environment, then import torch and ultralytics with everything that leaves the machine turned off."""
    config = workspace / ".config"
    # Processes that train together share the CPUs.
    threads = str(max(1, cpu_count() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    for name, value in {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "0",
        "YOLO_VERBOSE": "0",
        # A .pt file is a pickle, which could run any program: of foreign ones, classes of Ultralytics and torch alone
        # are taken.
        "ULTRALYTICS_SAFE_LOAD": "1",
        "YOLO_CONFIG_DIR": str(config),
        "MPLCONFIGDIR": str(config / "matplotlib"),
        "OMP_NUM_THREADS": threads,  # Ultralytics sets 1 where it is not set
        # Threads that wait by spinning take the CPU from those that they wait for, wherever a node is shared: on two
        # cores with other work a training step took 0.5-0.7 s so, and 1.9-2.2 s with the default.
        "OMP_WAIT_POLICY": "PASSIVE",
    }.items():
        os.environ.setdefault(name, value)
    _install_fonts(Path(os.environ["YOLO_CONFIG_DIR"]) / "Ultralytics")

    import torch

    register_nms()
    from ultralytics import settings
    from ultralytics.utils import LOGGER, torch_utils

    integrations = ("sync", "mlflow", "clearml", "comet", "dvc", "raytune", "tensorboard", "wandb", "vscode_msg")
    if any(settings[name] for name in integrations):
        settings.update(dict.fromkeys(integrations, False))
    LOGGER.setLevel(logging.WARNING)
    # Ultralytics leaves one core free for a desktop user each time it selects the CPU; a container has no such user.
    torch_utils.NUM_THREADS = int(threads)
    torch.set_num_threads(int(threads))


def _install_fonts(folder: Path) -> None:
    """Put a font where Ultralytics looks for Arial, which it would download otherwise."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise RuntimeError("matplotlib is not installed in this image.")
    font = Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if not (folder / name).exists():
            write_whole(folder / name, font.read_bytes())


def register_nms() -> None:
    """Give torchvision a non-maximum suppression of our own where its compiled operators cannot be loaded.

    The published torchvision is linked to CUDA: beside torch's CPU build its library does not load, `import
    torchvision` fails, and with it every training. Suppression is all that a detector needs of it. Must run before
    the first import of torchvision, which registers shapes for two operators that it takes to be there.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        torch.ops.load_library(str(Path(spec.origin).parent / "_C.so"))
    except OSError:
        pass
    else:
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    _KEPT.append(library)

    import torchvision

    # The function of that name first asserts that the library was loaded.
    torchvision.ops.nms = torch.ops.torchvision.nms


_KEPT: list[Any] = []  # a torch.library.Library takes its operators with it when it is collected


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Greedy NMS, as torchvision's: boxes (n, 4) x1 y1 x2 y2, scores (n,); indices kept, best first."""
    import numpy as np
    import torch

    x1, y1, x2, y2 = boxes.detach().float().numpy().T
    areas = (x2 - x1) * (y2 - y1)
    order = torch.argsort(scores, descending=True, stable=True).numpy()
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[order]) - np.maximum(x1[best], x1[order])
        height = np.minimum(y2[best], y2[order]) - np.maximum(y1[best], y1[order])
        shared = width.clip(min=0) * height.clip(min=0)
        order = order[shared <= iou_threshold * (areas[best] + areas[order] - shared)]
    return torch.as_tensor(np.array(kept, dtype=np.int64))


def has_quick_bfloat16() -> bool:
    """Whether this CPU trains faster in bfloat16 than in FP32: only with AMX.

    AVX-512's bfloat16 instructions speed up the forward pass alone; oneDNN's backward convolution is so slow with them
    (an AMD EPYC: 1.1 s of CPU for a step of yolo11n, 16 images of 160 pixels, where FP32 takes 0.3 s) that a training
    would take three times as long.
    """
    import torch

    return bool(torch.cpu._is_amx_tile_supported())
