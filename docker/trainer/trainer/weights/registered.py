"""The weights of a registered version: the best.pt of its run. (The version is the ONNX, which cannot be trained.)"""

from __future__ import annotations

import shutil
from pathlib import Path

from trainer.errors import InputError
from trainer.tracking import Run, translated
from trainer.weights.reference import registered_parts

FOLDER = "weights"
FILE = "best.pt"


def fetch_registered(run: Run, uri: str, target: Path) -> str:
    """Download to ``target``; return ``<registered model>/<version>``, with an alias resolved.

    Raises:
        InputError: the registry lacks it, or its run has no such weights.
        TrackingError: the server cannot be reached.
    """
    name, version, alias = registered_parts(uri)
    with translated(run.uri, f"reading {uri}"):
        if alias:
            version = str(run.client.get_model_version_by_alias(name, alias).version)
        found = run.client.get_model_version(name, version)
    parent = f"{name}/{found.version}"
    run_id = found.tags.get("run_id") or found.run_id
    if not run_id:
        raise InputError(
            f"Version {found.version} of {name} names no MLflow run, so there are no weights to continue from. Give "
            "the address of its .pt file instead."
        )
    with translated(run.uri, f"looking for the weights of {parent}"):
        there = {item.path for item in run.client.list_artifacts(run_id, FOLDER)}
    if f"{FOLDER}/{FILE}" not in there:
        raise InputError(
            f"The MLflow run {run_id} of version {found.version} of {name} has no artifact {FOLDER}/{FILE}, so there "
            "are no weights to continue from. Give another version, or the address of a .pt file."
        )
    downloaded = run.download(f"runs:/{run_id}/{FOLDER}/{FILE}", target.parent / "artifact")
    shutil.move(downloaded, target)
    return parent
