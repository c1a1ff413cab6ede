"""Sends metrics in the background, so that a server which is away for a while neither stops nor slows a training."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from trainer.errors import TrackingError, TrainerError
from trainer.progress import say
from trainer.tracking import Run

if TYPE_CHECKING:
    from mlflow.entities import Metric

LONGEST_PAUSE = 30.0  # seconds between attempts
LAST_WAIT = 90.0  # seconds that the end of the training waits for the server


class MetricQueue:
    """Use as a context: leaving it without an error sends what is left, or raises."""

    def __init__(self, run: Run, last_wait: float = LAST_WAIT) -> None:
        self._run = run
        self._last_wait = last_wait
        self._waiting: list[Metric] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="mlflow-metrics", daemon=True)

    def __enter__(self) -> MetricQueue:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closing = True
        self._wake.set()
        # A failed or stopped training must not also wait for a server; its metrics are sent by the retry.
        self._thread.join(5 if kind else self._last_wait)
        if kind is None and self._waiting:
            raise TrackingError(
                f"The training is done, but {len(self._waiting)} metrics could not be sent to MLflow at "
                f"{self._run.uri} within {self._last_wait:.0f} s. See whether the server is up; then "
                "retry, which goes straight on to the export."
            )

    def put(self, values: dict[str, float], step: int, timestamp: int | None = None) -> None:
        """Queue the metrics of a step; ``timestamp`` in milliseconds since 1970, by default now."""
        from mlflow.entities import Metric

        moment = timestamp or int(time.time() * 1000)
        with self._lock:
            self._waiting += [Metric(key, value, moment, step) for key, value in values.items()]
        self._wake.set()

    def _work(self) -> None:
        failures = 0
        while not (self._closing and not self._waiting):
            self._wake.wait(timeout=1.0)
            self._wake.clear()
            with self._lock:
                batch = list(self._waiting)
            if not batch:
                continue
            try:
                self._run.log_metrics(batch)
            except TrainerError as error:
                failures += 1
                if failures == 1:
                    say(f"Metrics wait: {error}")
                time.sleep(min(LONGEST_PAUSE, 2.0 ** min(failures, 5)) * random.uniform(0.5, 1.0))
                self._wake.set()
            else:
                failures = 0
                with self._lock:
                    del self._waiting[: len(batch)]
