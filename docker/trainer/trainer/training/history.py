"""What each epoch measured: a line in the log, a record in the workspace, metrics in MLflow."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from trainer.metric_queue import MetricQueue
from trainer.progress import say
from trainer.tasks.task import Task


class History:
    """Records epochs in a file, so that a retry can send MLflow what an attempt before it could not."""

    def __init__(self, file: Path, queue: MetricQueue, epochs: int, task: Task) -> None:
        self._task = task
        self._file = file
        self._queue = queue
        self._epochs = epochs
        self._seconds: list[float] = []
        self._began = time.monotonic()

    def replay(self, upto: int) -> None:
        """Queue the epochs that an earlier attempt completed, up to the one it was saved at; the server drops doubles.

        A later one is trained again, so its record is dropped.
        """
        if not self._file.exists():
            return
        records = {}
        for line in self._file.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # the line that was being written when the pod was killed
            if record["epoch"] <= upto:
                records[record["epoch"]] = record
        scratch = self._file.with_suffix(".part")
        scratch.write_text("".join(json.dumps(record) + "\n" for record in records.values()))
        scratch.replace(self._file)
        for record in records.values():
            self._queue.put(record["metrics"], record["epoch"], record["timestamp"])

    def begin_epoch(self) -> None:
        """Start the epoch's clock."""
        self._began = time.monotonic()

    def end_epoch(self, epoch: int, measured: dict[str, Any]) -> None:
        """Record epoch number ``epoch`` (from 1) with Ultralytics' figures."""
        seconds = time.monotonic() - self._began
        self._seconds.append(seconds)
        metrics = {self._our_name(key): float(value) for key, value in measured.items()} | {"epoch_seconds": seconds}
        timestamp = int(time.time() * 1000)
        record = {"epoch": epoch, "timestamp": timestamp, "metrics": metrics}
        with self._file.open("a") as file:
            file.write(json.dumps(record) + "\n")
        self._queue.put(metrics, epoch, timestamp)
        left = (self._epochs - epoch) * sum(self._seconds) / len(self._seconds)
        losses = " ".join(
            f"{key[6:].removesuffix('loss').rstrip('_')} {value:.3f}".strip()
            for key, value in metrics.items()
            if key.startswith("train/") and key.endswith("loss")
        )
        figures = " ".join(f"{name} {metrics.get(f'val/{name}', 0):.3f}" for name in self._task.epoch_figures)
        say(f"epoch {epoch}/{self._epochs} | loss {losses} | val {figures} | {seconds:.1f} s | about {left:.0f} s left")

    def _our_name(self, key: str) -> str:
        """Ultralytics' ``metrics/mAP50(B)`` is our ``val/mAP50``; its losses and learning rates keep their names."""
        name = key.replace("metrics/", "val/")
        for theirs, ours in self._task.renamed.items():
            name = name.replace(theirs, ours)
        return name
