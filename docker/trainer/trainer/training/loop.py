"""Ultralytics' trainer of a task, with checkpoints from which a retried pod continues."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from ultralytics.data import dataset as scan
from ultralytics.utils.torch_utils import strip_optimizer

from trainer.metric_queue import MetricQueue
from trainer.progress import say
from trainer.tasks import find
from trainer.training import mixed_precision
from trainer.training.checkpoint import Checkpoint
from trainer.training.distributed import run_distributed
from trainer.training.history import History


def leave_copies_alone() -> None:
    """Keep Ultralytics from writing what it scanned beside the label files.

    They are in the workspace's copy of the dataset, which trainings that run at the same time share: one may delete the
    file that another is reading.
    """
    scan.save_dataset_cache_file = _keep_in_memory


def _keep_in_memory(prefix: str, path: Path, x: dict[str, Any], version: str) -> None:
    """All that Ultralytics' own function does to what was scanned, beside writing it."""
    x["version"] = version


def run_training(arguments: dict[str, Any], folder: Path, queue: MetricQueue) -> Path:
    """Train, or go on from the checkpoint in ``folder``; return the best weights.

    Args:
        arguments: of Ultralytics; ``save_dir`` is a folder in ``folder``.
        folder: of this MLflow run, in the workspace.
        queue: takes the metrics.
    """
    training = Path(arguments["save_dir"])
    checkpoint = Checkpoint(folder / "checkpoint", training)
    history = History(folder / "epochs.jsonl", queue, arguments["epochs"], find(arguments["task"]))
    queue.put({"epochs_total": float(arguments["epochs"])}, step=0, timestamp=_begun(folder))
    state = checkpoint.state()
    history.replay(upto=state.epoch if state else 0)
    best = training / "weights/best.pt"
    if state:
        checkpoint.restore()
        if state.finished:
            say(f"The training of {arguments['epochs']} epochs was already finished; going on with the export")
            return _stripped(best)
        say(f"Going on from the checkpoint after epoch {state.epoch} of {arguments['epochs']}")
        arguments = arguments | {"resume": str(checkpoint.last)}
    else:
        # What an attempt left that ended before its first checkpoint. All processes of a training look for it.
        shutil.rmtree(training, ignore_errors=True)
    gpus = arguments["device"].split(",")
    if len(gpus) > 1:
        run_distributed(arguments, folder, len(gpus))
    else:
        fit(arguments, checkpoint, history)
    return best


def fit(arguments: dict[str, Any], checkpoint: Checkpoint | None, history: History | None) -> None:
    """Train in this process.

    Args:
        arguments: of Ultralytics.
        checkpoint: is saved after each epoch; None in all processes of a distributed training but the first.
        history: is told of each epoch; None as well.
    """
    leave_copies_alone()
    mixed_precision.install()
    task = find(arguments["task"])
    task.trust()
    trainer = task.trainer()(overrides=arguments)
    if checkpoint and history:
        trainer.history = history
        trainer.add_callback("on_train_epoch_start", lambda _: history.begin_epoch())
        trainer.add_callback("on_model_save", lambda it: checkpoint.save(it.epoch + 1, finished=bool(it.stop)))
    trainer.train()


def _begun(folder: Path) -> int:
    """When this run's training began, in milliseconds since 1970: a retry reads what the first attempt wrote."""
    file = folder / "begun"
    if not file.exists():
        file.write_text(str(int(time.time() * 1000)))
    return int(file.read_text())


def _stripped(weights: Path) -> Path:
    """The same weights without the optimiser's state, as a training that ends by itself leaves them."""
    strip_optimizer(weights)
    return weights
