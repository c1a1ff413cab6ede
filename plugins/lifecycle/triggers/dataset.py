"""Watches a dataset from the triggerer, and says when it is another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from lifecycle.errors import DatasetUnreadable
from lifecycle.hooks.dataset import fingerprint
from lifecycle.model.results import DatasetChange

# Key of the asset's state store, which Airflow keeps in its database: it outlasts the triggerer.
KEY = "fingerprint"


class DatasetTrigger(BaseEventTrigger):
    """Fires with a `lifecycle.model.results.DatasetChange` each time that the dataset is another one; never ends.

    The fingerprint that was last acted on is in the state store of the watched asset. It is written after the event was
    handed over: a triggerer that is lost between the two fires twice, and no change is lost. The first look of all only
    writes it. Airflow removes the trigger while the DAG is paused and makes it again afterwards: a change meanwhile
    fires then.

    :param pipeline: the pipeline's name. With it, pipelines that watch the same dataset have a trigger each; Airflow
        would take triggers with the same arguments for one that watches several assets.
    :param dataset: its address. It is stored and shown: `lifecycle.pipelines` refuses one that has credentials in it.
    :param interval: seconds between two looks.
    :param settle: seconds that a changed dataset has to stay as it is, because a copy of many files takes its time.
    """

    def __init__(self, *, pipeline: str, dataset: str, interval: float, settle: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pipeline = pipeline
        self.dataset = dataset
        self.interval = interval
        self.settle = settle
        self._fired = ""
        self._said = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        names = ("pipeline", "dataset", "interval", "settle")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the interval; what fails is logged in a sentence, and the next look tries again."""
        while True:
            try:
                if change := await self._change():
                    yield TriggerEvent(change)  # type: ignore[no-untyped-call]
                    self._fired = change["fingerprint"]
                    await self._store.aset(KEY, self._fired)
                    self._say(f"{self.dataset} is another one ({self._fired}): {self.pipeline} runs.")
            except DatasetUnreadable as error:
                self._say(f"{error} {self.pipeline} is not started by its dataset until it can be read.", trouble=True)
            except AirflowRuntimeError as error:
                self._say(f"Airflow's state of the dataset of {self.pipeline} is unreachable: {error}", trouble=True)
            await asyncio.sleep(self.interval)

    async def _change(self) -> DatasetChange | None:
        """What is other than at the last event; None: nothing, or it was the first look."""
        now, former = await self._look(), await self._store.aget(KEY)
        if now == former:
            self._say(f"{self.dataset} is as it was ({now}).")
            return None
        # Without a former one, this is the first look. An event that was handed over and not noted is noted now.
        if former is None or now == self._fired:
            await self._store.aset(KEY, now)
            self._say(f"{self.dataset} is watched from now on ({now}).")
            return None
        now = await self._settled(now)
        if now == former:
            return None
        return {"dataset": self.dataset, "fingerprint": now, "former": str(former)}

    async def _settled(self, now: str) -> str:
        """The fingerprint once two looks agree."""
        while True:
            await asyncio.sleep(self.settle)
            again = await self._look()
            if again == now:
                return now
            self._say(f"{self.dataset} is being changed; {self.pipeline} waits until it stays as it is.")
            now = again

    async def _look(self) -> str:
        return await asyncio.to_thread(fingerprint, self.dataset)

    @property
    def _store(self) -> Any:
        """The state of the watched asset, which the triggerer gives to the trigger before it runs."""
        if self.asset_state_store is None:
            raise RuntimeError("DatasetTrigger runs as the watcher of an Asset only.")
        return self.asset_state_store

    def _say(self, text: str, *, trouble: bool = False) -> None:
        """Log a sentence, unless it was the last one."""
        if text != self._said:
            (self.log.warning if trouble else self.log.info)("%s", text)
        self._said = text
