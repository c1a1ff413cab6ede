"""What an MLflow server must be able to do for a run, asked before an hour of training rests on it.

Each question is one request, and each answer that the run could not live with has its own sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.errors import RegistryError
from lifecycle.mlflow.errors import status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from requests import Response

# Artifacts that go through the server. Any other scheme is a store that the pods reach by themselves.
PROXIED = "mlflow-artifacts"
NOT_SERVED = "--no-serve-artifacts"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


def check_server(client: MlflowClient, experiment: Experiment) -> None:
    """Check that the trainer's pods can log a model and artifacts to the experiment.

    Raises:
        RegistryError: they cannot; the message says why, and what to change.
        mlflow.exceptions.MlflowException, requests.RequestException: the server did not answer.
    """
    _check_logged_models(client, experiment)
    _check_artifacts(client, experiment)


def is_proxied(location: str) -> bool:
    """Whether artifacts at this address go through the server, so that whoever reaches it can read them."""
    return urlsplit(location).scheme == PROXIED


def _check_logged_models(client: MlflowClient, experiment: Experiment) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.search_logged_models([experiment.experiment_id], max_results=1)
    except MlflowException as error:
        if status_of(error) != 404:
            raise
        raise RegistryError(
            f"MLflow at {client.tracking_uri} knows no logged models (HTTP 404): it is MLflow 2, or a service that "
            "speaks its API, such as Azure Machine Learning. The trainer logs its ONNX as one. Run an MLflow 3 server "
            "and name it in the Airflow connection and in the Secret `mlflow`; nothing was trained."
        ) from error


def _check_artifacts(client: MlflowClient, experiment: Experiment) -> None:
    location = str(experiment.artifact_location)
    if is_proxied(location):
        _check_served(client, experiment, location)
        return
    # A single letter is a drive of Windows.
    if urlsplit(location).scheme == "file" or len(urlsplit(location).scheme) < 2:
        raise RegistryError(
            f"The artifacts of the MLflow experiment {experiment.name!r} go to {location}, a folder on the server's "
            f"own disk, which the pods cannot write to: the server at {client.tracking_uri} ran without proxied "
            f"artifacts ({NOT_SERVED}) when the experiment was made, and its location never changes. Start the server "
            "with --serve-artifacts, or with an s3:// address as --default-artifact-root; then rename this experiment, "
            "so that the next run makes a new one. Nothing was trained."
        )


def _check_served(client: MlflowClient, experiment: Experiment, location: str) -> None:
    """Ask for a folder that is not there, by MLflow's own request: its client hides why it got a 503."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    creds = get_default_host_creds(client.tracking_uri)  # type: ignore[no-untyped-call]
    where = {"path": f"{urlsplit(location).path.strip('/')}/check"}
    answer: Response = http_request(  # type: ignore[no-untyped-call]
        creds, ARTIFACTS, "GET", max_retries=0, raise_on_status=False, params=where
    )
    if answer.status_code == 503 and NOT_SERVED in answer.text:
        raise RegistryError(
            f"The artifacts of the MLflow experiment {experiment.name!r} go through the server ({location}), and the "
            f"server at {client.tracking_uri} runs with {NOT_SERVED}, so the pods cannot store a model. Start it with "
            "--serve-artifacts, as when the experiment was made; nothing was trained."
        )
    answer.raise_for_status()
