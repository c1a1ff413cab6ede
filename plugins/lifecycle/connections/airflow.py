"""Airflow's connections."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, cast

from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook
from airflow.sdk import BaseHook

from lifecycle.connections.base import Connection


class AirflowConnections:
    """Asks Airflow; clients of Kubernetes come from its provider's own hooks, as the pods' operators have them."""

    def get(self, conn_id: str) -> Connection:
        """The Airflow connection of that id."""
        return cast(Connection, BaseHook.get_connection(conn_id))

    def kubernetes(self, conn_id: str) -> Any:
        """A client as the provider makes it."""
        return KubernetesHook(conn_id=conn_id).get_conn()

    def kubernetes_async(self, conn_id: str) -> AbstractAsyncContextManager[Any]:
        """An asynchronous client as the provider makes it."""
        return AsyncKubernetesHook(conn_id=conn_id).get_conn()
