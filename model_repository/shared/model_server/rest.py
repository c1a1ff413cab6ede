"""MLflow's REST API, as far as serving one version needs it: importing MLflow's client takes seconds of each rollout.

That client is still used for what it alone knows: see `is_plain`, and what the server does not hand out itself.
"""

import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

API = "api/2.0/mlflow"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
# With others (plugins for authentication, certificates), and with workspaces, MLflow's client is asked.
UNDERSTOOD = {f"MLFLOW_TRACKING_{name}" for name in ("URI", "USERNAME", "PASSWORD", "TOKEN")}
CHUNK = 1 << 20


class Told(NamedTuple):
    """What MLflow says of a version."""

    run_id: str
    tags: dict[str, str]


def is_plain(uri: str, environment: Mapping[str, str] = os.environ, home: Path | None = None) -> bool:
    """Whether a server is asked by nothing but HTTP, with a user's password or a token at most."""
    special = [
        name
        for name, value in environment.items()
        if value and name.startswith(("MLFLOW_TRACKING_", "MLFLOW_WORKSPACE")) and name not in UNDERSTOOD
    ]
    credentials = (home or Path.home()) / ".mlflow" / "credentials"
    return uri.startswith(("http://", "https://")) and not special and not credentials.exists()


class Rest:
    """One MLflow server. Its errors are those of requests; refusals with the server's own message."""

    def __init__(self, uri: str, timeout: float, environment: Mapping[str, str] = os.environ) -> None:
        """Asks nothing yet; `timeout`: seconds that an answer may keep us waiting."""
        import requests

        self._uri, self._timeout = uri.rstrip("/"), timeout
        self._session = requests.Session()
        user, password, token = (
            environment.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN")
        )
        if user and password:
            coded = b64encode(f"{user}:{password}".encode()).decode()
            self._session.headers["Authorization"] = f"Basic {coded}"
        elif token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def version(self, name: str, number: int) -> Told:
        """A registered version's run and tags."""
        found = self._json(f"{API}/model-versions/get", name=name, version=str(number))["model_version"]
        return Told(found.get("run_id", ""), {tag["key"]: tag.get("value", "") for tag in found.get("tags", [])})

    def download(self, name: str, number: int, file: str, folder: Path) -> bool:
        """Downloads a version's files, or the one that is named, into a folder; False: MLflow's client has to.

        That is so where the server does not hand them out itself.
        """
        found = self._json(f"{API}/model-versions/get-download-uri", name=name, version=str(number))
        uri = urlsplit(found.get("artifact_uri", ""))
        if uri.scheme != "mlflow-artifacts" or uri.netloc:
            return False
        root = PurePosixPath(uri.path.lstrip("/"))
        if file:
            self._file(root / file, folder / PurePosixPath(file).name)
            return True
        return self._files(root, folder)

    def _files(self, path: PurePosixPath, folder: Path) -> bool:
        """Downloads a folder; False: there is nothing in it, or no such folder."""
        found = self._json(ARTIFACTS, path=str(path)).get("files", [])
        for entry in found:
            name = entry["path"]
            if name != PurePosixPath(name).name or name in ("", ".."):
                raise ValueError(f"MLflow names a file {name!r}, which is no name of a file")
            if entry.get("is_dir"):
                (folder / name).mkdir(exist_ok=True)
                self._files(path / name, folder / name)
            else:
                self._file(path / name, folder / name)
        return bool(found)

    def _file(self, path: PurePosixPath, target: Path) -> None:
        with self._get(f"{ARTIFACTS}/{quote(str(path))}") as answer, target.open("wb") as file:
            for part in answer.iter_content(CHUNK):
                file.write(part)

    def _json(self, path: str, /, **query: str) -> dict[str, Any]:
        with self._get(path, **query) as answer:
            found: dict[str, Any] = answer.json()
        return found

    def _get(self, path: str, /, **query: str) -> Any:
        import requests

        answer = self._session.get(f"{self._uri}/{path}", params=query, timeout=self._timeout, stream=True)
        if answer.ok:
            return answer
        with answer:
            try:
                said = str(answer.json()["message"])
            except (ValueError, KeyError, TypeError):
                said = answer.reason
        raise requests.HTTPError(f"HTTP {answer.status_code}: {said}", response=answer)
