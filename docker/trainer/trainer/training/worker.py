"""One process of a distributed training: ``python -m trainer.training.worker <file>``, started by ``distributed``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from trainer import runtime

PR_SET_PDEATHSIG = 1  # of prctl(2)


def work(file: Path) -> None:
    """Train with the arguments in ``file``; the first process also saves checkpoints and sends metrics."""
    _end_with_parent()
    folder = file.parent
    arguments = json.loads(file.read_text(encoding="utf-8"))
    runtime.start(folder.parent.parent)

    from torch import distributed

    from trainer.training.loop import fit

    if os.environ["RANK"] == "0":
        _lead(arguments, folder)
    else:
        fit(arguments, None, None)
    distributed.destroy_process_group()


def _lead(arguments: dict[str, Any], folder: Path) -> None:
    from trainer.metric_queue import MetricQueue
    from trainer.tasks import find
    from trainer.tracking import Run
    from trainer.training.checkpoint import Checkpoint
    from trainer.training.history import History
    from trainer.training.loop import fit

    run = Run(os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_RUN_ID"])
    with MetricQueue(run) as queue:
        history = History(folder / "epochs.jsonl", queue, arguments["epochs"], find(arguments["task"]))
        fit(arguments, Checkpoint(folder / "checkpoint", Path(arguments["save_dir"])), history)


def _end_with_parent() -> None:
    """A process whose pod's command was killed would go on writing where the next attempt does."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    work(Path(sys.argv[1]))
