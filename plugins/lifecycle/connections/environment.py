"""Connections of a container that Airflow did not start: environment variables, which a Secret fills.

MLflow's are those of its own client, as the trainer's pods have them by the Secret `mlflow`; the cluster is the one
that the pod runs in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lifecycle.connections.base import Connection
from lifecycle.errors import ClusterError, ConnectionMissing
from lifecycle.settings import settings


class MlflowVariables(BaseSettings):
    """Where MLflow is."""

    model_config = SettingsConfigDict(env_prefix="MLFLOW_TRACKING_", frozen=True, extra="ignore")

    uri: str = Field(default="", description="The server's URL")
    username: str = Field(default="", description="For basic authentication")
    password: str = Field(default="", description="Its password")
    token: str = Field(default="", description="A bearer token in place of both")


class GitVariables(BaseSettings):
    """With what the GitOps repository is written; where it is, `LIFECYCLE_GITOPS_URL` says."""

    model_config = SettingsConfigDict(env_prefix="GITOPS_", frozen=True, extra="ignore")

    username: str = Field(default="", description="User of the token; empty: git")
    token: str = Field(default="", description="Token for https://")
    private_key: str = Field(default="", description="SSH key")
    key_file: str = Field(default="", description="File with it")
    known_hosts: str = Field(default="", description="The host's keys, which an SSH key needs")
    signing_key: str = Field(default="", description="Key that commits are signed with")
    api_token: str = Field(default="", description="Token of the host's API, for merge requests")


class ClusterVariables(BaseSettings):
    """Which cluster: where neither is set, the one that this pod runs in."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kubeconfig: str = Field(default="", description="File for kubectl")


@dataclass(frozen=True)
class Variables:
    """A connection as variables tell it."""

    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)


class EnvironmentConnections:
    """The connections that the settings name, whatever they call them: a container has one of each kind."""

    def get(self, conn_id: str) -> Connection:
        """MLflow's connection, or git's."""
        return _mlflow() if conn_id == settings().mlflow_conn_id else _git()

    def kubernetes(self, conn_id: str) -> Any:
        """A client of the pod's own service account, or of KUBECONFIG."""
        from kubernetes import client, config
        from kubernetes.config import ConfigException

        chosen = client.Configuration()
        file = ClusterVariables().kubeconfig
        try:
            if file:
                config.load_kube_config(config_file=file, client_configuration=chosen)
            else:
                config.load_incluster_config(client_configuration=chosen)
        except ConfigException as error:
            raise _unknown_cluster(file, error) from error
        return client.ApiClient(chosen)

    def kubernetes_async(self, conn_id: str) -> AbstractAsyncContextManager[Any]:
        """An asynchronous client of the same."""
        return _asynchronous()


@asynccontextmanager
async def _asynchronous() -> AsyncIterator[Any]:
    from kubernetes_asyncio import client, config
    from kubernetes_asyncio.config import ConfigException

    chosen = client.Configuration()
    file = ClusterVariables().kubeconfig
    try:
        if file:
            await config.load_kube_config(config_file=file, client_configuration=chosen)
        else:
            config.load_incluster_config(client_configuration=chosen)
    except ConfigException as error:
        raise _unknown_cluster(file, error) from error
    async with client.ApiClient(chosen) as connection:
        yield connection


def _unknown_cluster(file: str, error: Exception) -> ClusterError:
    place = f"the file {file}, which KUBECONFIG names," if file else "this pod's service account"
    return ClusterError(
        f"The cluster cannot be asked: {place} does not tell where it is: {error} Run this in a pod that mounts its "
        "service account's token, or set KUBECONFIG."
    )


def _mlflow() -> Variables:
    found = MlflowVariables()
    if not found.uri:
        raise ConnectionMissing(
            "MLFLOW_TRACKING_URI is not set, so that MLflow cannot be asked. Take the variables from the Secret "
            "`mlflow`, as the trainer's pods do."
        )
    return Variables(host=found.uri, login=found.username or None, password=found.token or found.password or None)


def _git() -> Variables:
    found = GitVariables()
    key = found.private_key or (Path(found.key_file).read_text(encoding="utf-8") if found.key_file else "")
    extra = {
        "private_key": key,
        "known_hosts": found.known_hosts,
        "signing_key": found.signing_key,
        "api_token": found.api_token,
    }
    return Variables(
        login=found.username or None,
        password=found.token or None,
        extra_dejson={name: value for name, value in extra.items() if value},
    )
