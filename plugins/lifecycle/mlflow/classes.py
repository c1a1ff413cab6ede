"""The classes that a model knows, in the order of their numbers."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import RegistryError
from lifecycle.mlflow.runs import required_tag
from lifecycle.model import names
from lifecycle.policy.classes import ClassChange, class_change

if TYPE_CHECKING:
    from mlflow import MlflowClient


def change(client: MlflowClient, run_id: str, name: str, live_version: int | None) -> ClassChange | None:
    """What clients of the live version would see of other classes; None: nothing, or nothing is live.

    Args:
        client: of MLflow.
        run_id: the candidate's run.
        name: the registered model.
        live_version: None: nothing is live.
    """
    if live_version is None:
        return None
    return class_change(of_run(client, run_id), of_version(client, name, live_version))


def of_run(client: MlflowClient, run_id: str) -> list[str]:
    """The classes of what a run has trained.

    Raises:
        RegistryError: the run does not tell them.
    """
    return _listed(client, required_tag(client.get_run(run_id), names.CLASS_NAMES, "prepare"), run_id)


def of_version(client: MlflowClient, name: str, version: int) -> list[str]:
    """The classes of a registered version.

    Raises:
        RegistryError: the version does not tell them.
    """
    found = client.get_model_version(name, str(version))
    tag = found.tags.get(names.CLASS_NAMES)
    if not tag:
        raise RegistryError(
            f"Version {version} of {name!r} has no tag {names.CLASS_NAMES}, so its classes cannot be compared. Set the "
            "tag to a JSON list of their names, in the order of their numbers."
        )
    return _listed(client, tag, found.tags.get(names.RUN_ID) or str(found.run_id or ""))


def _listed(client: MlflowClient, tag: str, run_id: str) -> list[str]:
    """The list in the tag, or in the run's artifact that the tag names where the classes are too many for a tag."""
    told = json.loads(tag)
    if isinstance(told, dict):
        with tempfile.TemporaryDirectory(prefix="classes-") as folder:
            told = json.loads(Path(client.download_artifacts(run_id, told["artifact"], folder)).read_text("utf-8"))
    return [str(name) for name in told]
