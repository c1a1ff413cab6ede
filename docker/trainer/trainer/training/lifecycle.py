"""What every task's trainer does besides Ultralytics': quick on a CPU, and each epoch is recorded."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils.torch_utils import get_flops

from trainer.runtime import cpu_count, has_quick_bfloat16
from trainer.training.history import History
from trainer.training.threads import threads_for_step


class Lifecycle(BaseTrainer):
    """The first of a trainer's two base classes; the other one is Ultralytics' trainer of the task.

    Trains channels-last on a CPU, and in bfloat16 where that is quicker; Ultralytics does either on GPUs alone. A step
    too small for all CPUs gets as many threads as it is worth. Weights, loss scaling and validation stay in FP32. The
    hyperparameter ``amp: false`` turns bfloat16 off.
    """

    history: History
    model: Any

    def set_model_attributes(self) -> None:
        """Called when the model is on its device, before the optimiser and the averaged copy take its weights."""
        super().set_model_attributes()
        if self.device.type == "cpu":
            self.model = self.model.to(memory_format=torch.channels_last)

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.device.type != "cpu":
            return
        # Ultralytics has just turned autocast off, as it does for every CPU.
        if self.args.amp is True and has_quick_bfloat16():
            self.amp = True
        gflop = get_flops(self.model, self.args.imgsz) * self.batch_size
        torch.set_num_threads(threads_for_step(gflop, cpu_count()))

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Called once an epoch, after validation and before the checkpoint."""
        super().save_metrics(metrics)
        self.history.end_epoch(self.epoch + 1, metrics)
