"""Asks MLflow for one version of a registered model and downloads its files.

Only here is mlflow imported, and only for what `rest` leaves to it: its import takes more than a second.
"""

import ast
import json
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import TypeVar

from model_server.errors import LoadError, one_line
from model_server.record import VersionRecord
from model_server.rest import Rest, Told, is_plain
from model_server.retry import Deadline, pauses, within
from model_server.settings import Settings

Result = TypeVar("Result")
Log = Callable[[str], None]

# Where MLflow's ONNX flavour puts further files of a model (`extra_files`).
SIBLINGS = "extra_files"

TRANSIENT_STATUSES = {408, 425, 429}

# Which package has the client of an artifact store that is read directly, by the module that mlflow then imports.
PACKAGES = {
    "boto3": "boto3",
    "google": "google-cloud-storage",
    "azure": "azure-storage-blob, azure-storage-file-datalake and azure-identity",
}
# Variables that a Secret may give a line break at the end, which no address and no password has.
SECRETS = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_")


class Registry:
    """One MLflow server, as one load sees it: every call shares the load's time limit, which starts here."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        for variable in without_line_breaks(os.environ):
            log(f"{variable} ends with a line break, which was left out: store it in the Secret without one")
        plain = is_plain(settings.tracking_uri)
        self._rest = Rest(settings.tracking_uri, settings.request_timeout) if plain else None
        self._deadline = Deadline(settings.load_timeout)

    def find_version(self) -> VersionRecord:
        """Looks the version up.

        Raises:
            LoadError: there is no such model or version, or MLflow did not answer in time.
        """
        name, number = self._settings.name, self._settings.version
        found = self._retrying(
            f"version {number} of the registered model {name!r}",
            lambda: self._rest.version(name, number) if self._rest else _told(self._settings),
        )
        tags: Mapping[str, str] = found.tags
        return VersionRecord(
            name=name,
            version=number,
            run_id=found.run_id or tags.get("run_id", ""),
            sha256=tags.get("sha256", "").strip().lower(),
            class_names=_names(tags.get("class_names", "")),
            image_size=int(tags["image_size"]) if tags.get("image_size", "").isdigit() else None,
            precision_drop=_figures(tags.get("precision_drop", "")),
        )

    def download(self, folder: Path) -> Path:
        """Downloads the version's files into an empty folder and returns the ONNX file.

        Raises:
            LoadError: the files are not there, are not an ONNX model, or did not arrive in time.
        """
        name, number = self._settings.name, self._settings.version
        self._retrying(f"the files of {name!r} version {number}", lambda: self._fetch("", folder))
        found = sorted(folder.rglob("*.onnx"))
        if len(found) != 1:
            what = ", ".join(path.name for path in sorted(folder.rglob("*")) if path.is_file()) or "no files"
            raise LoadError(
                f"{name!r} version {number} in MLflow has {len(found)} ONNX files (it has: {what}): register one model "
                "with mlflow.onnx.log_model and serve that version"
            )
        return found[0]

    def download_sibling(self, file: str, folder: Path) -> Path:
        """Downloads a further file of the version into an empty folder.

        Raises:
            LoadError: it is not there, or did not arrive in time.
        """
        name, number = self._settings.name, self._settings.version
        what = f"the file {file} of {name!r} version {number}"
        self._retrying(what, lambda: self._fetch(f"{SIBLINGS}/{file}", folder))
        for path in folder.rglob(file):
            return path
        raise LoadError(f"MLflow at {self._settings.tracking_uri} lacks {what}: train and register it again")

    def _fetch(self, file: str, folder: Path) -> None:
        """Brings all files of the version, or one of them, into a folder."""
        name, number = self._settings.name, self._settings.version
        if self._rest and self._rest.download(name, number, file, folder):
            return
        _limit(self._settings)
        import mlflow

        mlflow.set_tracking_uri(self._settings.tracking_uri)
        uri = f"models:/{name}/{number}/{file}".rstrip("/")
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))

    def _retrying(self, what: str, action: Callable[[], Result]) -> Result:
        """Repeats an action while that can help and time is left; `what` is what it is after, for messages."""
        pause, attempt = pauses(), 0
        while True:
            try:
                return within(self._deadline, action)
            except Exception as error:
                if not is_transient(error):
                    raise LoadError(self._explain(what, error)) from error
                wait = pause(attempt)
                if self._deadline.left <= wait:
                    raise LoadError(
                        f"MLflow at {self._settings.tracking_uri} did not give {what} within "
                        f"{self._deadline.seconds:g} s ({_reason(error)}): start it or correct MLFLOW_TRACKING_URI, "
                        "then load the model again"
                    ) from error
                attempt += 1
                self._log(
                    f"MLflow at {self._settings.tracking_uri} did not give {what} ({_reason(error)}): attempt "
                    f"{attempt + 1} in {wait:.1f} s, for {self._deadline.left:.0f} s more"
                )
                time.sleep(wait)

    def _explain(self, what: str, error: Exception) -> str:
        status, uri = status_of(error), self._settings.tracking_uri
        if isinstance(error, ImportError):
            return (
                f"MLflow at {uri} keeps {what} in a store whose client this image lacks ({error}): add "
                f"{_package(error)} to docker/triton/requirements.in and build the image again"
            )
        if status in (401, 403):
            return (
                f"MLflow at {uri} refused access to {what} (HTTP {status}): set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD to an account that may read it"
            )
        if status == 404:
            return (
                f"MLflow at {uri} lacks {what} ({_reason(error)}): correct MLFLOW_MODEL_NAME and "
                "MLFLOW_MODEL_VERSION (the values file's registeredModel and version), or register it"
            )
        return f"MLflow at {uri} cannot give {what} ({_reason(error)}): correct MLFLOW_TRACKING_URI or the version"


def _told(settings: Settings) -> Told:
    """What MLflow's own client says of the version."""
    _limit(settings)
    from mlflow import MlflowClient

    found = MlflowClient(tracking_uri=settings.tracking_uri).get_model_version(settings.name, str(settings.version))
    return Told(found.run_id or "", dict(found.tags or {}))


def _limit(settings: Settings) -> None:
    """Gives mlflow, before its import, this server's limits."""
    # One attempt a call, because the retries here also know which errors no retry can fix.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(int(settings.request_timeout))
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def without_line_breaks(environment: MutableMapping[str, str]) -> list[str]:
    """Leaves out the line break at the end of values that a Secret gave; returns which ones had one."""
    changed = [name for name, value in environment.items() if name.startswith(SECRETS) and value.endswith(("\r", "\n"))]
    for name in changed:
        environment[name] = environment[name].rstrip("\r\n")
    return changed


def _package(error: ImportError) -> str:
    module = error.name or "the missing module"
    return PACKAGES.get(module.partition(".")[0], module)


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of mlflow's client, however deep it is wrapped; None: there is none."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if getattr(response, "status_code", None):
            return int(response.status_code)  # type: ignore[union-attr]
        read = getattr(seen, "get_http_status_code", None)
        # mlflow gives 500 to whatever has no status, such as a refused connection: look for a better one below.
        if read is not None and read() != 500:
            return int(read())
        seen = seen.__cause__ or seen.__context__
    return None


def is_transient(error: BaseException) -> bool:
    """Whether a retry may succeed: not where MLflow understood the call and said no, or a module is missing."""
    if isinstance(error, ImportError):
        return False
    status = status_of(error)
    return status is None or status >= 500 or status in TRANSIENT_STATUSES


def _reason(error: BaseException) -> str:
    """The innermost message that says something, short: mlflow's outer ones repeat the whole chain."""
    text = one_line(error) or type(error).__name__
    for mark in ("Connection refused", "Name or service not known", "Read timed out", "Connection reset by peer"):
        if mark in text:
            return mark.lower()
    return text if len(text) <= 300 else text[:297] + "..."


def _figures(text: str) -> dict[str, float]:
    """Numbers by name from a JSON object; none: an empty one."""
    try:
        return {str(key): float(value) for key, value in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _names(text: str) -> list[str]:
    """Class names from a JSON list, or from Ultralytics' own notation `{0: 'person', ...}`; none: an empty list.

    Where there are too many for a tag, it only counts them, and the export's own notes have them.
    """
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, list):
            return [str(name) for name in value]
        if isinstance(value, dict) and all(str(index).isdigit() for index in value):
            return [str(value[index]) for index in sorted(value, key=int)]
    return []
