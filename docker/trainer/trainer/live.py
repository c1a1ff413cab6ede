"""The version that is live, from the registry, to be measured beside the candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trainer.class_names import names_of
from trainer.errors import InputError
from trainer.tasks import DEFAULT
from trainer.tracking import Run, translated


@dataclass(frozen=True)
class LiveVersion:
    """A registered version's file and what it says of itself."""

    file: Path
    class_names: list[str]
    image_size: int


def download_live(run: Run, name: str, version: str, task: str, folder: Path) -> LiveVersion:
    """Download version ``version`` of the registered model ``name``.

    Raises:
        InputError: it is not in the registry, is of another task, or lacks the tags that say how to use it.
        TrackingError: the server is away.
    """
    with translated(run.uri, f"reading version {version} of {name}, which is live"):
        tags = run.client.get_model_version(name, version).tags
    # Versions that were made before there was a second task have no such tag.
    if (theirs := tags.get("task", DEFAULT)) != task:
        raise InputError(
            f"Version {version} of {name}, which is live, is of the task {theirs}, and the candidate of {task}. A "
            "registered model has versions of one task: give the pipeline another registered_model and served model."
        )
    file = next(run.download(f"models:/{name}/{version}", folder).rglob("model.onnx"), None)
    if file is None:
        raise InputError(f"Version {version} of {name}, which is live, has no model.onnx. Register the ONNX again.")
    try:
        class_names, image_size = names_of(tags["class_names"], file), int(tags["image_size"])
    except (KeyError, ValueError, SyntaxError) as error:
        raise InputError(
            f"Version {version} of {name}, which is live, lacks a sound tag class_names or image_size "
            f"({error}), so the candidate cannot be compared with it. Set the tags in MLflow, then "
            "trigger the run again."
        ) from error
    return LiveVersion(file, class_names, image_size)
