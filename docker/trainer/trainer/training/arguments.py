"""The arguments that Ultralytics trains with: our options, and the hyperparameters that a person may set."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

import yaml

from trainer.errors import InputError
from trainer.settings import Settings
from trainer.tasks.task import Task
from trainer.transfer import shown

# Set by an option of ours, or would break what the later steps rely on (where files lie, which classes there are).
OURS = {
    "model": "--model",
    "data": "--dataset",
    "epochs": "--epochs",
    "imgsz": "--image-size",
    "batch": "--batch",
    "seed": "--seed",
    "device": "--device",
}
FIXED = frozenset(
    {
        "task",
        "mode",
        "save",
        "save_dir",
        "project",
        "name",
        "exist_ok",
        "resume",
        "val",
        "split",
        "cfg",
        "single_cls",
        "classes",
        "time",
        "verbose",
        "nms",
        "distill_model",
        "quantize",
        "rect",
    }
)
PATHS = frozenset({"data", "project", "name", "save_dir", "mode"})  # of no use to a reader of the MLflow run


def check_hyperparameters(hyperparameters: dict[str, Any]) -> None:
    """Raise InputError for a name that is not a train argument of Ultralytics, or not one to be set here."""
    known = _train_arguments()
    if str(hyperparameters.get("cache")).lower() == "disk":
        raise InputError(
            "--hyperparameters sets cache to disk, which writes into the workspace's copy of the dataset while other "
            "trainings read there. Set it to ram, or leave it out."
        )
    for key in hyperparameters:
        if key in OURS:
            raise InputError(f"--hyperparameters sets {key!r}, which has an option of its own: {OURS[key]}.")
        if key in FIXED:
            raise InputError(f"--hyperparameters sets {key!r}, which the trainer sets itself. Leave it out.")
        if key not in known:
            close = difflib.get_close_matches(key, sorted(known), 3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise InputError(f"--hyperparameters has {key!r}, which is not a train argument of Ultralytics.{hint}")


def _train_arguments() -> set[str]:
    """Names of the arguments, read from Ultralytics' own list without importing it."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise RuntimeError("ultralytics is not installed in this image.")
    return set(yaml.safe_load((Path(spec.origin).parent / "cfg/default.yaml").read_text(encoding="utf-8")))


def train_arguments(
    settings: Settings, task: Task, data: Path, folder: Path, weights: Path | None, device: str
) -> dict[str, Any]:
    """What the trainer is constructed with.

    Args:
        settings: the command's.
        task: that is trained.
        data: what Ultralytics is given for the dataset.
        folder: for all that Ultralytics writes.
        weights: to start from, if any.
        device: ``cpu``, or the numbers of GPUs.

    Raises:
        InputError: a hyperparameter is unknown, or of a wrong type or range.
    """
    check_hyperparameters(settings.hyperparameters)
    own_weights = not task.forms.is_architecture(settings.model)

    def architecture() -> str:
        return task.architecture(settings.model, settings.workspace, folder.parent, settings.image_size)

    arguments = {
        **settings.hyperparameters,
        **({} if own_weights or weights is None else {"pretrained": str(weights)}),
        "model": str(weights) if own_weights else architecture(),
        "data": str(data),
        "epochs": settings.epochs,
        "imgsz": settings.image_size,
        "batch": settings.batch,
        "seed": settings.seed,
        "device": device,
        "task": task.name,
        "mode": "train",
        "save_dir": str(folder),
        "exist_ok": True,
        "verbose": False,
    }
    check_values(arguments)
    return arguments


def check_values(arguments: dict[str, Any]) -> None:
    """Raise InputError for a value of a wrong type or range, by Ultralytics' own check."""
    from ultralytics.cfg import get_cfg

    try:
        get_cfg(overrides=arguments)
    except (TypeError, ValueError, SyntaxError) as error:
        raise InputError(f"--hyperparameters has a value that Ultralytics refuses: {error}") from error


def params_for_mlflow(arguments: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Every argument of the training, with the defaults of those that were not given; no local paths.

    Model, weights and device are as they were asked for: another attempt may meet other GPUs.
    """
    from ultralytics.cfg import get_cfg

    values = vars(get_cfg(overrides=arguments))
    asked = {"model": shown(settings.model), "device": settings.device}
    if isinstance(pretrained := settings.hyperparameters.get("pretrained"), str):
        asked["pretrained"] = shown(pretrained)
    return {key: value for key, value in values.items() if key not in PATHS} | asked
