"""The trainer's command line on two GPUs that are not there: its processes train together on the CPU, by gloo.

Run as a program it is both the pod's command and, where that starts it, one of the processes. All of the
trainer's code runs as it is. Of torch and Ultralytics, the questions how many GPUs there are and what they are called
are answered, and each GPU's place is taken by the CPU.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "docker" / "trainer"))


def stand_in() -> None:
    """What a pod with two GPUs sees of them before it trains."""
    import torch
    from trainer.training import distributed

    torch.cuda.device_count = lambda: 2
    torch.cuda.get_device_name = lambda device=None: f"stand-in for GPU {device}"
    distributed.WORKER = "two_gpus"


def replace_gpus() -> None:
    """Put the CPU in each GPU's place in Ultralytics' trainer."""
    import torch
    from torch import distributed, nn
    from ultralytics.engine import trainer, validator

    cpu = torch.device("cpu")
    wrap = nn.parallel.DistributedDataParallel
    construct = trainer.BaseTrainer.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        self.world_size = 2

    def setup(self: Any) -> None:
        distributed.init_process_group("gloo", timeout=timedelta(seconds=60))

    def parallel(module: Any, device_ids: Any, **kwargs: Any) -> Any:
        return wrap(module, **kwargs)

    trainer.BaseTrainer.__init__ = init
    trainer.BaseTrainer._setup_ddp = setup

    def backend(model: Any, device: Any, **kwargs: Any) -> Any:
        return load(model, device=cpu, **kwargs)

    load = validator.AutoBackend
    validator.AutoBackend = backend
    validator.get_torch_device_backend = lambda _: SimpleNamespace(current_device=lambda: 0)
    nn.parallel.DistributedDataParallel = parallel
    for module in (trainer, validator):
        module.select_device = lambda *args, **kwargs: cpu


if __name__ == "__main__":
    if "RANK" in os.environ:
        from trainer import runtime
        from trainer.training import worker

        if os.environ.get("FAILING_RANK") == os.environ["RANK"]:
            sys.exit(3)
        file = Path(sys.argv[1])
        runtime.start(file.parents[2])
        replace_gpus()
        worker.work(file)
    else:
        from trainer import runtime
        from trainer.__main__ import main
        from trainer.settings import read_settings

        runtime.start(read_settings(sys.argv[1:]).workspace)
        stand_in()
        sys.exit(main(sys.argv[1:]))
