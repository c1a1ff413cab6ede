"""The MLflow run that the DAG opened, as the commands write to it.

The client is used, and never the "active run": that would end the run, which is the DAG's to do.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trainer.errors import InputError, TrackingError
from trainer.packages import what_to_install

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric

# MLflow's own retries: about half a minute in all, where its default is over four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

PARAM_LIMIT = 100  # in one request, the server's
METRIC_LIMIT = 1000
VALUE_LIMIT = 6000  # characters of a param's value
HOPELESS = frozenset({"RESOURCE_DOES_NOT_EXIST", "UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_PARAMETER_VALUE"})

T = TypeVar("T")


@contextmanager
def translated(uri: str, doing: str) -> Iterator[None]:
    """Turn what MLflow's client raises into a TrackingError, or an InputError where a retry cannot help."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except ImportError as error:
        raise InputError(f"MLflow's artifacts cannot be reached for {doing}: {what_to_install(error)}") from error
    except MlflowException as error:
        reason = " ".join(str(error).split())[:500]
        if error.error_code in HOPELESS:
            raise InputError(
                f"MLflow at {uri} refused {doing}: {reason} Check the run's id, the names and the "
                "credentials that the pod was given."
            ) from error
        raise TrackingError(
            f"MLflow at {uri} failed {doing}: {reason} See whether the server is up; then retry, "
            "which goes on from what is saved."
        ) from error
    except (requests.RequestException, OSError) as error:
        raise TrackingError(
            f"MLflow at {uri} cannot be reached for {doing}: {type(error).__name__}. See whether the "
            "server is up; then retry, which goes on from what is saved."
        ) from error


class Run:
    """One MLflow run, by id."""

    def __init__(self, uri: str, run_id: str) -> None:
        """Check that the run is there; one that ended is RUNNING again, as when MLflow itself resumes a run.

        Raises:
            InputError: the server has no such run.
            TrackingError: the server cannot be reached.
        """
        import mlflow

        # It warns that it cannot tell pip's version where pip is not installed, which it need not be.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        mlflow.set_tracking_uri(uri)
        self.uri = uri
        self.run_id = run_id
        self.client = mlflow.MlflowClient()
        info = self._do("opening the run", lambda: self.client.get_run(run_id)).info
        self.experiment_id: str = info.experiment_id
        if info.status != "RUNNING":
            self._do("setting the run to RUNNING", lambda: self.client.update_run(run_id, status="RUNNING"))
        # A model is logged to the experiment that is set, not to that of the run it is logged for.
        self._do("opening the experiment", lambda: mlflow.set_experiment(experiment_id=self.experiment_id))

    def _do(self, doing: str, action: Callable[[], T]) -> T:
        with translated(self.uri, doing):
            return action()

    def tags(self) -> dict[str, str]:
        """The run's tags."""
        return dict(self._do("reading the run", lambda: self.client.get_run(self.run_id)).data.tags)

    def params(self) -> dict[str, str]:
        """The run's params."""
        return dict(self._do("reading the run", lambda: self.client.get_run(self.run_id)).data.params)

    def metrics(self) -> dict[str, float]:
        """The run's metrics, each with its last value."""
        return dict(self._do("reading the run", lambda: self.client.get_run(self.run_id)).data.metrics)

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags, all in one request."""
        from mlflow.entities import RunTag

        entities = [RunTag(key, value) for key, value in tags.items()]
        self._do("setting tags", lambda: self.client.log_batch(self.run_id, tags=entities))

    def log_params(self, params: dict[str, Any]) -> None:
        """Log params; those that an earlier attempt logged stay.

        Raises:
            InputError: an earlier attempt logged another value: a run keeps its arguments.
        """
        from mlflow.entities import Param

        there = self.params()
        texts = {key: str(value)[:VALUE_LIMIT] for key, value in params.items()}
        changed = [
            f"{key} was {there[key]!r} and is {text!r}"
            for key, text in texts.items()
            if key in there and there[key] != text
        ]
        if changed:
            raise InputError(
                f"MLflow run {self.run_id} was begun with other arguments: {'; '.join(changed[:10])}. "
                "A run keeps its arguments; trigger a new one."
            )
        missing = [Param(key, text) for key, text in texts.items() if key not in there]
        for start in range(0, len(missing), PARAM_LIMIT):
            part = missing[start : start + PARAM_LIMIT]
            self._do("logging params", lambda part=part: self.client.log_batch(self.run_id, params=part))  # type: ignore[misc]

    def log_metrics(self, metrics: list[Metric]) -> None:
        """Log metrics. One that the server has already, with the same time, is not logged twice."""
        for start in range(0, len(metrics), METRIC_LIMIT):
            part = metrics[start : start + METRIC_LIMIT]
            self._do("logging metrics", lambda part=part: self.client.log_batch(self.run_id, metrics=part))  # type: ignore[misc]

    def log_inputs(self, datasets: list[DatasetInput]) -> None:
        """Log datasets as the run's inputs; MLflow keeps one that is there."""
        self._do("logging the dataset", lambda: self.client.log_inputs(self.run_id, datasets))

    def log_file(self, path: Path, folder: str) -> None:
        """Upload a file to an artifact folder."""
        self._do(f"storing {path.name}", lambda: self.client.log_artifact(self.run_id, str(path), folder))

    def log_files(self, directory: Path, folder: str) -> None:
        """Upload all the files in a directory to an artifact folder."""
        self._do(f"storing {folder}", lambda: self.client.log_artifacts(self.run_id, str(directory), folder))

    def log_json(self, content: Any, file: str) -> None:
        """Store JSON as an artifact (``file`` with its folder)."""
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        self._do(f"storing {file}", lambda: self.client.log_text(self.run_id, text, file))

    def download(self, uri: str, target: Path) -> Path:
        """Download an artifact URI (``models:/…``, ``runs:/…``) into a folder; return where it is."""
        import mlflow

        target.mkdir(parents=True, exist_ok=True)
        return Path(
            self._do(
                f"downloading {uri}",
                lambda: mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=str(target), tracking_uri=self.uri
                ),
            )
        )

    def required_tag(self, name: str, command: str) -> str:
        """A tag that an earlier command wrote.

        Raises:
            InputError: that command has not finished in this run.
        """
        value = self.tags().get(name)
        if not value:
            raise InputError(
                f"MLflow run {self.run_id} has no tag {name}, which `{command}` writes. Run `{command}` first."
            )
        return value
