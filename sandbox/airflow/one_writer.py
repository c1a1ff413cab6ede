"""A plugin of the sandbox's Airflow: its API server takes one writing request at a time, as SQLite does.

Airflow's API server records who did what before the request itself, in a coroutine, so on its event loop
(`action_logging`). SQLite lets one connection write, and the others wait. Where a request's thread has written and not
yet committed, that coroutine's wait holds up the very loop which would have the commit done: nothing is answered until
SQLite gives up the wait, and then a request ends with "Database error". Production's PostgreSQL locks rows, so there
is nothing to wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

READS = ("GET", "HEAD", "OPTIONS")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class OneWriter:
    """An ASGI middleware by which a request that may write waits, without a thread, until the one before has ended.

    Its turn begins when its body is there: a client that stops in the middle of one keeps nobody waiting.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app, self._turn = app, asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            return await self._app(scope, receive, send)
        parts = [await receive()]
        while parts[-1].get("more_body"):
            parts.append(await receive())

        async def received() -> Scope:
            return parts.pop(0) if parts else await receive()

        async with self._turn:
            return await self._app(scope, received, send)


class OneWriterPlugin(AirflowPlugin):
    """Puts the middleware around Airflow's whole API server, its execution API included."""

    name = "sandbox_one_writer"
    # A list of the class, as Airflow's plugin interface wants it.
    fastapi_root_middlewares = [{"middleware": OneWriter, "name": "one_writer"}]  # noqa: RUF012
