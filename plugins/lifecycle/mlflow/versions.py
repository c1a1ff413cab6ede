"""Registered versions: made once per DAG run, and the aliases on those proved live: one an environment, `champion`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lifecycle import kinds
from lifecycle.errors import BadParameter, RegistryError
from lifecycle.mlflow import descriptions
from lifecycle.mlflow.runs import required_tag
from lifecycle.mlflow.server import is_proxied
from lifecycle.model.names import (
    CHAMPION,
    CLASS_NAMES,
    CODE_COMMIT,
    COMMIT,
    DAG_ID,
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
    TASK,
)
from lifecycle.model.pin import Pin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

# What a version takes over from its run, and the task that writes it there.
COPIED_TAGS = {SHA256: "train", DATASET_DIGEST: "prepare", IMAGE_SIZE: "train", CLASS_NAMES: "train"}
# A run may lack these. Without the figure, the server stays at FP32; without the parent, it began from no version;
# without the task, it is a detector, as all were before there were others.
OPTIONAL_TAGS = (PRECISION_DROP, PARENT_VERSION, TASK)


def register(client: MlflowClient, name: str, run: Run, page: str = "") -> ModelVersion:
    """Return this DAG run's version of the registered model `name`; make it if there is none.

    The same DAG run and the same ONNX file give the same version however often this is called. A DAG run that was
    cleared and trained again has another file, and gets another version. `page` is the DAG run's, for the description.
    """
    dag_run_id, sha256 = required_tag(run, DAG_RUN_ID, "open_run"), required_tag(run, SHA256, "train")
    for version in versions(client, name):
        if version.tags.get(DAG_RUN_ID) == dag_run_id and version.tags.get(SHA256) == sha256:
            return version
    tags = {key: required_tag(run, key, writer) for key, writer in COPIED_TAGS.items()}
    tags |= {key: run.data.tags[key] for key in OPTIONAL_TAGS if key in run.data.tags}
    _create_registered_model(client, name)
    uri = required_tag(run, MODEL_URI, "train")
    made = client.create_model_version(
        name,
        source=uri,
        run_id=run.info.run_id,
        tags={**tags, DAG_RUN_ID: dag_run_id, RUN_ID: str(run.info.run_id)},
        model_id=uri.removeprefix("models:/"),
        description=descriptions.of_version(run, page),
    )
    if not client.get_registered_model(name).description:
        _describe_model(client, name, run, made)
    return made


def _describe_model(client: MlflowClient, name: str, run: Run, version: ModelVersion) -> None:
    """Let the registered model's page tell of a version, unless a person wrote it."""
    former = str(client.get_registered_model(name).description or "")
    dag = str(run.data.tags.get(DAG_ID, "?"))
    text = descriptions.of_model(
        former, kinds.tagged(run.data.tags).title, dag, int(version.version), str(version.description or "")
    )
    if text != former:
        client.update_registered_model(name, text)


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


def pinned(client: MlflowClient, name: str, version: int, where: str) -> ModelVersion:
    """Return the version that git pins, whose files are there.

    Args:
        client: of the MLflow server.
        name: the registered model.
        version: its number in git.
        where: the values file, for the message.

    Raises:
        RegistryError: MLflow lost it; the candidate could not be compared with what is live.
    """
    way_out = (
        "Restore MLflow's backup, or see whether the connection and the Secret `mlflow` name the right server; or put "
        f"a version that it has into {where} (`yolo_rollback`). Nothing was trained."
    )
    try:
        found = existing(client, name, version)
    except BadParameter as error:
        raise RegistryError(
            f"{where} pins version {version} of {name!r}, which MLflow at {client.tracking_uri} lacks: the candidate "
            f"could not be compared with what is live, and a new server could not load it. {way_out}"
        ) from error
    location = files_of(client, found)
    if is_proxied(location) and not _listed(client, location):
        raise RegistryError(
            f"{where} pins version {version} of {name!r}, whose files MLflow at {client.tracking_uri} lost ({location} "
            f"is empty): the candidate could not be compared with what is live. {way_out}"
        )
    return found


def files_of(client: MlflowClient, version: ModelVersion) -> str:
    """The address of a version's files: its own, or that of the logged model that it was made of."""
    uri = str(client.get_model_version_download_uri(version.name, str(version.version)))
    if not uri.startswith("models:/"):
        return uri
    return str(client.get_logged_model(uri.removeprefix("models:/")).artifact_location)


def _listed(client: MlflowClient, location: str) -> bool:
    from mlflow.artifacts import list_artifacts

    return bool(list_artifacts(artifact_uri=location, tracking_uri=client.tracking_uri))


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
    code = version.tags.get(CODE_COMMIT, "")
    return Pin.from_tags(int(version.version), {SHA256: sha256_of(version), RUN_ID: run_id, CODE_COMMIT: code})


def set_live(
    client: MlflowClient,
    name: str,
    version: int,
    *,
    commit: str,
    environment: str,
    champion: bool,
    code_commit: str = "",
) -> None:
    """Move the environment's alias to the version that answers, and say on its page, and in tags, where and since when.

    `champion`: the environment is the last stage, whose version is the champion too. What a stage before it does
    leaves the champion's tags as they are: these tell of the last stage. The page has a line for each environment.
    """
    number = str(version)
    found = client.get_model_version(name, number)
    since = found.tags.get(LIVE_SINCE)
    if found.tags.get(COMMIT) != commit or not since:
        since = datetime.now(UTC).isoformat(timespec="seconds")
    if champion or client.get_registered_model(name).aliases.get(CHAMPION) != number:
        client.set_model_version_tag(name, number, LIVE_SINCE, since)
        client.set_model_version_tag(name, number, COMMIT, commit)
        client.set_model_version_tag(name, number, ENVIRONMENT, environment)
        client.set_model_version_tag(name, number, CODE_COMMIT, code_commit)
    for alias in (environment, CHAMPION) if champion else (environment,):
        client.set_registered_model_alias(name, alias, number)
    text = descriptions.live(str(found.description or ""), environment, commit, since)
    told = client.update_model_version(name, number, text)
    # A version that was registered by hand may name no run.
    if run_id := found.tags.get(RUN_ID) or found.run_id:
        _describe_model(client, name, client.get_run(run_id), told)
