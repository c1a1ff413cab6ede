"""The arguments that Ultralytics trains with: our options, and the hyperparameters that a person may set."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

import yaml

from trainer.architecture import find_model
from trainer.errors import InputError
from trainer.settings import Settings

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
        "plots",
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


def train_arguments(settings: Settings, data_yaml: Path, folder: Path) -> dict[str, Any]:
    """What the trainer is constructed with.

    Raises:
        InputError: a hyperparameter is unknown, or of a wrong type or range.
    """
    check_hyperparameters(settings.hyperparameters)
    arguments = {
        **settings.hyperparameters,
        "model": find_model(settings.model),
        "data": str(data_yaml),
        "epochs": settings.epochs,
        "imgsz": settings.image_size,
        "batch": settings.batch,
        "seed": settings.seed,
        "device": settings.device,
        "task": "detect",
        "mode": "train",
        "save_dir": str(folder),
        "exist_ok": True,
        "verbose": False,
        "plots": True,
    }
    from ultralytics.cfg import get_cfg

    try:
        get_cfg(overrides=arguments)
    except (TypeError, ValueError, SyntaxError) as error:
        raise InputError(f"--hyperparameters has a value that Ultralytics refuses: {error}") from error
    return arguments


def params_for_mlflow(arguments: dict[str, Any]) -> dict[str, Any]:
    """Every argument of the training, with the defaults of those that were not given; no local paths."""
    from ultralytics.cfg import get_cfg

    values = vars(get_cfg(overrides=arguments))
    return {key: value for key, value in values.items() if key not in PATHS}
