"""From settings and Airflow connections to the objects that talk to the outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from lifecycle.cluster.reads import Cluster
from lifecycle.registry.hook import MlflowHook
from lifecycle.settings import settings

if TYPE_CHECKING:
    from lifecycle.gitops import GitCredentials, GitOps, GitOpsSettings


def mlflow() -> MlflowHook:
    """The MLflow server."""
    chosen = settings()
    return MlflowHook(chosen.mlflow_conn_id, timeout=chosen.mlflow_timeout, retries=chosen.mlflow_retries)


def cluster() -> Cluster:
    """The Kubernetes API."""
    return Cluster(settings().kubernetes_conn_id)


def gitops_settings() -> GitOpsSettings:
    """Where the GitOps repository is, how commits look and how they are delivered."""
    from lifecycle.gitops import GitOpsSettings
    from lifecycle.gitops.settings import DEFAULT_MESSAGE

    chosen = settings()
    return GitOpsSettings(
        url=chosen.gitops_url,
        branch=chosen.gitops_branch,
        author_name=chosen.gitops_author_name,
        author_email=chosen.gitops_author_email,
        message_template=chosen.gitops_message or DEFAULT_MESSAGE,
        signing=chosen.gitops_signing,
        signing_key=chosen.gitops_signing_key,
        delivery=chosen.gitops_delivery,
        api_url=chosen.gitops_api_url,
        time_limit=chosen.gitops_time_limit,
    )


def gitops_credentials() -> GitCredentials | None:
    """The credentials of the git connection, or None if no connection is named.

    Fields as in the git provider's connection type: `login`, `password` (a token); in the extra `private_key` or
    `key_file`, and `known_hosts`, `signing_key`, `api_token`.
    """
    from lifecycle.gitops import GitCredentials

    conn_id = settings().gitops_conn_id
    if not conn_id:
        return None
    connection = BaseHook.get_connection(conn_id)
    extra = connection.extra_dejson
    key = extra.get("private_key") or (Path(extra["key_file"]).read_text() if extra.get("key_file") else None)
    return GitCredentials(
        username=connection.login or "git",
        token=None if key else connection.password or None,
        ssh_key=key,
        known_hosts=extra.get("known_hosts"),
        signing_key=extra.get("signing_key"),
        api_token=extra.get("api_token"),
    )


def gitops() -> GitOps:
    """The GitOps repository."""
    from lifecycle.gitops import GitOps

    return GitOps(gitops_settings(), gitops_credentials())
