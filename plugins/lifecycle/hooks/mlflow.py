"""The connection to MLflow; inside this package, `mlflow` alone is the library."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifecycle.connections import connections
from lifecycle.errors import RegistryError
from lifecycle.mlflow.errors import typed_errors
from lifecycle.settings import settings

if TYPE_CHECKING:
    from mlflow import MlflowClient


log = logging.getLogger(__name__)
# Names that only a cluster's DNS knows: those of Services, and any without a dot.
INSIDE = re.compile(r"[^.]+|.*\.svc(\.[^.]+)*")
HERE = ("localhost", "127.0.0.1", "::1")


class MlflowHook:
    """Opens clients of the MLflow server that a connection names: in Airflow one of type `http`.

    The connection's `schema` (http or https), `host` (which may hold a path) and `port` make the tracking URI; `login`
    and `password` are sent as basic authentication, a password alone as a bearer token. A line break at the end of one,
    which is easily stored with a secret, is left out.

    :param mlflow_conn_id: the connection.
    :param timeout: seconds that one request may take.
    :param retries: how often MLflow's client repeats a failed request.
    """

    def __init__(self, mlflow_conn_id: str = "mlflow_default", *, timeout: int = 20, retries: int = 2) -> None:
        self.mlflow_conn_id = mlflow_conn_id
        self.timeout = timeout
        self.retries = retries

    @classmethod
    def from_settings(cls) -> MlflowHook:
        """With the connection and the patience that the settings name."""
        chosen = settings()
        return cls(chosen.mlflow_conn_id, timeout=chosen.mlflow_timeout, retries=chosen.mlflow_retries)

    def get_conn(self) -> MlflowClient:
        """Return a client; use `session()`, which also sends the credentials and types the errors."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri)

    @property
    def tracking_uri(self) -> str:
        """The server's URL, without credentials."""
        connection = connections().get(self.mlflow_conn_id)
        host, schema = self._line("host", connection.host), self._line("schema", connection.schema)
        if not host:
            raise RegistryError(
                f"The Airflow connection {self.mlflow_conn_id!r} names no host, so that MLflow cannot be asked. "
                "Set its host, port and schema (http or https)."
            )
        address = host if "://" in host else f"{schema or 'http'}://{host}"
        if not connection.port:
            return address.rstrip("/")
        scheme, _, rest = address.partition("://")
        name, slash, path = rest.partition("/")
        return f"{scheme}://{name}:{connection.port}{slash}{path}".rstrip("/")

    def run_page(self, experiment_id: str, run_id: str) -> tuple[str, str]:
        """The address of a run's page for people's browsers, and what they have to know of it; either may be empty."""
        page = f"/#/experiments/{experiment_id}/runs/{run_id}"
        tracking, public = self.tracking_uri, settings().mlflow_public_url.rstrip("/")
        inside, host = urlsplit(tracking).hostname or "", urlsplit(public).hostname or ""
        if public:
            forwarded = host in HERE and inside not in HERE
            return public + page, f"while kubectl forwards MLflow to {urlsplit(public).netloc}" if forwarded else ""
        if inside not in HERE and INSIDE.fullmatch(inside):
            return "", f"run {run_id}: no browser reaches {inside}, and LIFECYCLE_MLFLOW_PUBLIC_URL is not set"
        return tracking + page, ""

    def _line(self, field: str, value: str | None) -> str:
        """A field of the connection without a line break at its end."""
        text = (value or "").rstrip("\r\n")
        if text != (value or ""):
            log.warning(
                "The %s of the connection %s ends with a line break, which was left out. Store it without one.",
                *(field, self.mlflow_conn_id),
            )
        return text

    @contextmanager
    def session(self, *, retries: int | None = None) -> Iterator[MlflowClient]:
        """Give a client whose errors are typed; `retries`: other ones than the hook's.

        MLflow's client takes credentials and time limits from the environment alone; they are there only meanwhile.

        Raises:
            RegistryUnavailable: no answer, or a server error; worth a retry.
            RegistryError: the server refused.
        """
        connection = connections().get(self.mlflow_conn_id)
        login, password = self._line("login", connection.login), self._line("password", connection.password)
        variables = {
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(self.timeout),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(self.retries if retries is None else retries),
            "MLFLOW_TRACKING_USERNAME": login if login and password else None,
            "MLFLOW_TRACKING_PASSWORD": password if login and password else None,
            "MLFLOW_TRACKING_TOKEN": password if password and not login else None,
        }
        uri = self.tracking_uri
        with environment(variables), typed_errors(uri):
            yield self.get_conn()


@contextmanager
def environment(variables: dict[str, str | None]) -> Iterator[None]:
    """Set environment variables (None: leave as it is) for the length of a block."""
    wanted = {name: value for name, value in variables.items() if value is not None}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
