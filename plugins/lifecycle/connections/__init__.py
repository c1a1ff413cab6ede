"""Where MLflow, git and the cluster are, and with which credentials: told by Airflow, or by a container's environment.

A process is Airflow's unless it says otherwise before it asks anything, as `python -m lifecycle` does.
"""

from __future__ import annotations

from lifecycle.connections.base import Connection, Connections

__all__ = ["Connection", "Connections", "connections", "use"]

_chosen: list[Connections] = []


def use(source: Connections) -> None:
    """Take every connection of this process from there."""
    _chosen[:] = [source]


def connections() -> Connections:
    """Where this process takes its connections from."""
    if not _chosen:
        # The one way from here to Airflow: what has chosen a source never gets there.
        from lifecycle.connections.airflow import AirflowConnections

        use(AirflowConnections())
    return _chosen[0]
