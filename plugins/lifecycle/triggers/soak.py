"""Watches the servers of a version until its time in a stage is over, and reports what they have counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lifecycle.errors import LifecycleError
from lifecycle.hooks.kubernetes import AsyncClusterHook
from lifecycle.hooks.statistics import servers, triton_counters
from lifecycle.model.results import SoakEvent
from lifecycle.policy.soak import Tally


class SoakTrigger(BaseTrigger):
    """Fires once, with a `lifecycle.model.results.SoakEvent`.

    Counts begin when a server starts, and a version's servers start with it: nothing has to be remembered from before.
    After a restart of the triggerer, only servers that have ended meanwhile are not counted.

    :param kubernetes_conn_id: the Airflow connection to the cluster.
    :param namespace: where the serving pods are.
    :param selector: label selector of the version's pods.
    :param model: Triton's model name.
    :param url: the one address to ask; empty: each pod at its own.
    :param until: seconds since the epoch at which the time is over.
    :param poll: seconds between two looks.
    :param settle: seconds before the event (see ApplicationTrigger).
    """

    def __init__(
        self,
        *,
        kubernetes_conn_id: str,
        namespace: str,
        selector: str,
        model: str,
        url: str,
        until: float,
        poll: float,
        settle: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kubernetes_conn_id = kubernetes_conn_id
        self.namespace = namespace
        self.selector = selector
        self.model = model
        self.url = url
        self.until = until
        self.poll = poll
        self.settle = settle
        self._hook = AsyncClusterHook(kubernetes_conn_id)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        names = ("kubernetes_conn_id", "namespace", "selector", "model", "url", "until", "poll", "settle")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the time is over."""
        started = time.monotonic()
        tally, trouble = Tally(), ""
        while True:
            trouble = await self._look(tally)
            left = self.until - time.time()
            if left <= 0:
                break
            await asyncio.sleep(min(self.poll, left))
        await asyncio.sleep(max(0.0, started + self.settle - time.monotonic()))
        event: SoakEvent = {
            "requests": tally.total.requests,
            "failures": tally.total.failures,
            "nanoseconds": tally.total.nanoseconds,
            "servers": len(tally.seen),
            "trouble": trouble,
        }
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _look(self, tally: Tally) -> str:
        """Add what the servers have counted; return what hindered it, which may pass until the next look."""
        trouble = ""
        try:
            found = {"": self.url} if self.url else servers(await self._hook.pods(self.namespace, self.selector))
        except LifecycleError as error:
            return str(error)
        for name, url in found.items():
            try:
                tally.look(name, await asyncio.to_thread(triton_counters, url, self.model))
            except LifecycleError as error:
                trouble = str(error)
        return trouble
