"""One process of a distributed training: ``python -m torch.distributed.run -m trainer.training.worker <file>``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from trainer import runtime


def work(file: Path) -> None:
    """Train with the arguments in ``file``; the first process also saves checkpoints and sends metrics."""
    folder = file.parent
    arguments = json.loads(file.read_text(encoding="utf-8"))
    runtime.start(folder.parent.parent)

    from trainer.training.loop import fit

    if int(os.environ["RANK"]) > 0:
        fit(arguments, None, None)
        return

    from trainer.metric_queue import MetricQueue
    from trainer.tracking import Run
    from trainer.training.checkpoint import Checkpoint
    from trainer.training.history import History

    run = Run(os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_RUN_ID"])
    with MetricQueue(run) as queue:
        history = History(folder / "epochs.jsonl", queue, arguments["epochs"])
        fit(arguments, Checkpoint(folder / "checkpoint", Path(arguments["save_dir"])), history)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
