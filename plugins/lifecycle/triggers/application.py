"""Watches one Application from the triggerer until it can say how a revision's rollout ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lifecycle.model.target import Target
from lifecycle.settings import settings
from lifecycle.steps.watching import RolloutWatch


class ApplicationTrigger(BaseTrigger):
    """Fires once, with a `lifecycle.model.results.RolloutEvent`.

    :param settle: seconds before the first event. Airflow 3.3 fails a task whose trigger fires before the scheduler has
        drained the end of the worker's part (apache/airflow#72716); and Argo CD needs a moment to see the commit: until
        then the revision before is not reported, which would cost a second deferral.
    :param watched: what is watched: the attributes of `RolloutWatch`.
    """

    def __init__(self, *, settle: float, **watched: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.settle = settle
        self.watch = RolloutWatch(**watched)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        watched = {each.name: getattr(self.watch, each.name) for each in fields(RolloutWatch) if each.init}
        return f"{type(self).__module__}.{type(self).__name__}", {**watched, "settle": self.settle}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is an end to report."""
        started = time.monotonic()
        event = await self.watch.end(patience=self.settle)
        await asyncio.sleep(max(0.0, started + self.settle - time.monotonic()))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]


def watch(
    target: Target, accepted: list[str], older: list[str], deadline: float, version: int | str | None
) -> ApplicationTrigger:
    """The trigger for a target and the pin's label that is rolled out (None: nothing), with the settings' intervals."""
    watched = RolloutWatch.of(target, accepted, older, deadline, version)
    told = {each.name: getattr(watched, each.name) for each in fields(RolloutWatch) if each.init}
    return ApplicationTrigger(settle=settings().rollout_settle, **told)
