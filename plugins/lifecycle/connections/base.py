"""What a source of connections can be asked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Connection(Protocol):
    """A server and the credentials for it, in the fields of an Airflow connection."""

    @property
    def host(self) -> str | None:
        """A name, which may hold a path; or a URL."""

    @property
    def schema(self) -> str | None:
        """`http` or `https`."""

    @property
    def port(self) -> int | None:
        """None: the scheme's own."""

    @property
    def login(self) -> str | None:
        """A user."""

    @property
    def password(self) -> str | None:
        """A password or token."""

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """What else belongs to a connection of this kind."""


class Connections(Protocol):
    """A source of connections, each by its id."""

    def get(self, conn_id: str) -> Connection:
        """The connection to a server over HTTP or to a git host."""

    def kubernetes(self, conn_id: str) -> Any:
        """A `kubernetes.client.ApiClient`."""

    def kubernetes_async(self, conn_id: str) -> AbstractAsyncContextManager[Any]:
        """A `kubernetes_asyncio.client.ApiClient`, closed at the end of the block."""
