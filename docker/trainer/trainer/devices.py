"""Which GPUs a training uses: those that its pod got."""

from __future__ import annotations

from trainer.errors import InputError, TrainerError
from trainer.progress import say


def choose_device(device: str, gpus: int) -> str:
    """Turn ``--device`` into what Ultralytics takes: ``cpu``, ``0``, or ``0,1,2,3`` for one process on each.

    Args:
        device: auto, cpu, or numbers of GPUs.
        gpus: that the pod asks for.

    Raises:
        InputError: the image cannot use GPUs, or there are fewer than ``device`` names.
        TrainerError: the pod asks for GPUs and sees none; on another node it may.
    """
    import torch

    seen = torch.cuda.device_count()
    if gpus and not seen:
        _explain_none(gpus)
    if device == "cpu":
        return device
    if device == "auto":
        chosen = list(range(seen))
    else:
        chosen = [int(number) for number in device.split(",")]
        if max(chosen) >= seen:
            raise InputError(
                f"--device is {device}, and torch sees {seen} GPU(s), numbered from 0. Ask for more "
                "(LIFECYCLE_TRAINER_GPUS) and take the trainer's image with CUDA, or use --device auto."
            )
    if len(chosen) < gpus:
        # Slices of one GPU (MIG) are seen as one by a process; a number was given for the others.
        say(f"Warning: the pod asks for {gpus} GPUs and trains on {len(chosen)}")
    say(f"Training on {', '.join(torch.cuda.get_device_name(number) for number in chosen) or 'the CPU'}")
    return ",".join(str(number) for number in chosen) or "cpu"


def _explain_none(gpus: int) -> None:
    import torch

    if torch.version.cuda is None:
        raise InputError(
            f"The pod asks for {gpus} GPU(s), and this image has torch without CUDA. Take the trainer's image for GPUs "
            "(its tag ends in -gpu), or ask for none (LIFECYCLE_TRAINER_GPUS)."
        )
    raise TrainerError(
        f"The pod asks for {gpus} GPU(s) and torch sees none: nothing was trained, since on the CPU it would take "
        "days. Check the node's driver, the device plugin and the runtime class of the pods; a retry may get another "
        "node."
    )
