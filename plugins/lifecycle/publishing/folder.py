"""Makes a version's model folder as a pod of charts/triton does, by the very script of the commit that is pinned."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import PublishingFailed
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions

if TYPE_CHECKING:
    from lifecycle.model.pin import Pin

SCRIPT = "charts/triton/files/assemble.sh"
DEFAULT_TEMPLATE = "yolo"
# What the script takes from the chart's values, where the template's own hold.
UNSET = ("INSTANCES", "MAX_BATCH_SIZE", "PREFERRED_BATCH_SIZE", "MAX_QUEUE_DELAY")


def make(into: Path, registered_model: str, model: str, template: str, pin: Pin) -> Path:
    """Make `<into>/repository/<model>`, with the version's files in it; returns `<into>/repository`.

    One folder, no ensembles around it: the model takes tensors and picture files under its one name, which is what a
    TrainedModel can be.

    Raises:
        PublishingFailed: the commit has no such template, or MLflow's files are not those that are pinned.
    """
    address = _assemble(into, registered_model, model, template or DEFAULT_TEMPLATE, pin)
    made = into / "repository"
    with (made / model / "config.pbtxt").open("a", encoding="utf-8") as config:
        config.write(f'parameters {{ key: "mlflow_tracking_uri" value {{ string_value: "{address}" }} }}\n')
    for file in made.rglob("*"):
        if file.is_file() and not file.stat().st_size:
            file.write_text("\n")  # KServe's storage initializer leaves empty files out
    return made


def _assemble(into: Path, registered_model: str, model: str, template: str, pin: Pin) -> str:
    """Run the script; returns MLflow's address."""
    git = repository()
    checkout = into / ".worktrees" / pin.code_commit
    checkout.mkdir(parents=True)
    git.export(pin.code_commit, [git.code_path, SCRIPT], checkout)
    for name in ("tensors", "encoded"):
        shutil.rmtree(checkout / git.code_path / f"{template}_{name}", ignore_errors=True)
    # Before the script runs: what it writes of the version (the names of its classes) it finds in these files, as the
    # server does.
    address = _add_files(
        checkout / git.code_path / template / "1" / "published", into / "fetched", registered_model, pin
    )
    # As git-sync leaves it, by which the script knows the commit.
    (into / "current").symlink_to(checkout)
    (into / "repository").mkdir()
    variables = {
        # The script's Python is this one, which has what the server's code imports.
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "MODEL_CACHE_DIR": str(into / "cache"),
        "MLFLOW_TRACKING_URI": address,  # the server's code wants one, and asks nobody
        **dict.fromkeys(UNSET, ""),
        "CHECKOUT": str(into / "current"),
        "SOURCE": f"the git repository at {pin.code_commit}",
        "TEMPLATE": f"{git.code_path}/{template}",
        "MODELS": str(into / "repository"),
        "MODEL": model,
        "ENCODED": "false",
        "RUN_ID": pin.run_id,
        "CODE_COMMIT": pin.code_commit,
        "FROM_GIT": "true",
        "MLFLOW_MODEL_NAME": registered_model,
        "MLFLOW_MODEL_VERSION": str(pin.number),
        "MODEL_SHA256": pin.sha256,
    }
    done = subprocess.run(["sh", str(checkout / SCRIPT)], env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PublishingFailed(f"The model folder could not be made: {done.stderr.strip()} Nothing was committed.")
    return address


def _add_files(published: Path, fetched: Path, registered_model: str, pin: Pin) -> str:
    """The version's files, as the server's cache names them, and what MLflow says of it; returns MLflow's address."""
    import hashlib

    from mlflow.artifacts import download_artifacts

    (published / "objects").mkdir(parents=True)
    with MlflowHook.from_settings().session() as client:
        version = versions.existing(client, registered_model, pin.number)
        location = versions.files_of(client, version)
        download_artifacts(artifact_uri=location, dst_path=str(fetched), tracking_uri=client.tracking_uri)
        told = {"name": registered_model, "version": pin.number, "run_id": pin.run_id, "tags": dict(version.tags)}
        address = str(client.tracking_uri)
    found = set()
    for file in sorted(path for path in fetched.rglob("*") if path.is_file()):
        if file.suffix == ".onnx" or file.parent.name == "extra_files":
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found.add(digest)
            shutil.move(str(file), published / "objects" / f"{digest}.onnx")
    if pin.sha256 not in found:
        raise PublishingFailed(
            f"Version {pin.number} of {registered_model} has no file with the sha256 {pin.sha256} in MLflow (it has: "
            f"{', '.join(sorted(found)) or 'none'}): the file was changed. Register it again. Nothing was committed."
        )
    (published / "version.json").write_text(json.dumps(told), encoding="utf-8")
    return address
