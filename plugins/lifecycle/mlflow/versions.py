"""Registered versions: made once per DAG run, and the alias `champion` on the one proved live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle.errors import BadParameter, RegistryError
from lifecycle.mlflow.runs import required_tag
from lifecycle.model.names import (
    CHAMPION,
    CLASS_NAMES,
    COMMIT,
    DAG_RUN_ID,
    DATASET_DIGEST,
    ENVIRONMENT,
    IMAGE_SIZE,
    LIVE_SINCE,
    MODEL_URI,
    PARENT_VERSION,
    PRECISION_DROP,
    RUN_ID,
    SHA256,
)
from lifecycle.model.pin import Pin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

# What a version takes over from its run, and the task that writes it there.
COPIED_TAGS = {SHA256: "train", DATASET_DIGEST: "prepare", IMAGE_SIZE: "train", CLASS_NAMES: "train"}
# A run may lack these. Without the figure, the server stays at FP32; without the parent, it began from no version.
OPTIONAL_TAGS = (PRECISION_DROP, PARENT_VERSION)


def register(client: MlflowClient, name: str, run: Run) -> ModelVersion:
    """Return this DAG run's version of the registered model `name`; make it if there is none.

    The same DAG run and the same ONNX file give the same version however often this is called. A DAG run that was
    cleared and trained again has another file, and gets another version.
    """
    dag_run_id, sha256 = required_tag(run, DAG_RUN_ID, "open_run"), required_tag(run, SHA256, "train")
    for version in versions(client, name):
        if version.tags.get(DAG_RUN_ID) == dag_run_id and version.tags.get(SHA256) == sha256:
            return version
    tags = {key: required_tag(run, key, writer) for key, writer in COPIED_TAGS.items()}
    tags |= {key: run.data.tags[key] for key in OPTIONAL_TAGS if key in run.data.tags}
    _create_registered_model(client, name)
    uri = required_tag(run, MODEL_URI, "train")
    return client.create_model_version(
        name,
        source=uri,
        run_id=run.info.run_id,
        tags={**tags, DAG_RUN_ID: dag_run_id, RUN_ID: str(run.info.run_id)},
        model_id=uri.removeprefix("models:/"),
    )


def _create_registered_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of a registered model, newest first; none if the model does not exist."""
    found: list[ModelVersion] = []
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return sorted(found, key=lambda version: int(version.version), reverse=True)


def existing(client: MlflowClient, name: str, version: int) -> ModelVersion:
    """Return a version.

    Raises:
        BadParameter: there is none; the message lists those that there are.
    """
    every = versions(client, name)
    for candidate in every:
        if int(candidate.version) == version:
            return candidate
    listed = ", ".join(str(candidate.version) for candidate in every[:50]) or "none"
    raise BadParameter(
        f"The registered model {name!r} has no version {version}; it has: {listed}. Nothing was "
        "changed. Name one of these."
    )


def sha256_of(version: ModelVersion) -> str:
    """The checksum tag of a version.

    Raises:
        RegistryError: it has none, so what would be served is unknown.
    """
    value = version.tags.get(SHA256)
    if not value:
        raise RegistryError(
            f"Version {version.version} of {version.name!r} has no tag sha256: it was not registered by this platform. "
            "Set the tag to the SHA-256 of its model.onnx, or choose another version."
        )
    return str(value)


def pin_of(version: ModelVersion) -> Pin:
    """The pin of a version; one that was registered by hand names its run only in MLflow's own field.

    Raises:
        RegistryError: see `sha256_of`.
    """
    run_id = version.tags.get(RUN_ID) or str(version.run_id or "")
    return Pin.from_tags(int(version.version), {SHA256: sha256_of(version), RUN_ID: run_id})


def set_champion(client: MlflowClient, name: str, version: int, *, commit: str, environment: str) -> None:
    """Move the alias to the version that answers, and tag it with where and since when."""
    number = str(version)
    tags = client.get_model_version(name, number).tags
    if tags.get(COMMIT) != commit or LIVE_SINCE not in tags:
        client.set_model_version_tag(name, number, LIVE_SINCE, datetime.now(UTC).isoformat(timespec="seconds"))
    client.set_model_version_tag(name, number, COMMIT, commit)
    client.set_model_version_tag(name, number, ENVIRONMENT, environment)
    client.set_registered_model_alias(name, CHAMPION, number)
