"""Training on several GPUs of one pod: a process on each (DDP), of which the first writes checkpoints and metrics.

Ultralytics would start them from a script that it generates, with all callbacks pickled into a file. Here each process
makes its own trainer from the same arguments, so that what holds for one GPU holds for several.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from trainer.errors import TrainerError
from trainer.progress import say
from trainer.runtime import cpu_count

WORKER = "trainer.training.worker"
ARGUMENTS = "arguments.json"
STOP_TIME = 20.0  # seconds that the processes have to end, of the pod's 30


def run_distributed(arguments: dict[str, Any], folder: Path, processes: int) -> None:
    """Train in ``processes`` processes; return when all have ended well.

    Args:
        arguments: of Ultralytics.
        folder: of this MLflow run, in the workspace.
        processes: one a GPU.

    Raises:
        TrainerError: one has failed, after which the launcher has ended the others.
    """
    file = folder / ARGUMENTS
    file.write_text(json.dumps(arguments), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    # The processes meet at a free port of loopback, whatever the pod's name resolves to.
    command += ["--standalone", "--local-addr=127.0.0.1", "-m", WORKER, str(file)]
    # What runtime.start set for one process is another figure for several.
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, cpu_count() // processes))}
    say(f"Starting {processes} processes, one on each GPU")
    launcher = subprocess.Popen(command, env=environment)
    try:
        status = launcher.wait()
    finally:
        # Where this process is told to stop, so are they.
        _end(launcher)
    if status:
        raise TrainerError(
            f"The training on {processes} GPUs ended with status {status}. What failed is above; a retry goes on "
            "from the last checkpoint."
        )


def _end(launcher: subprocess.Popen[bytes]) -> None:
    if launcher.poll() is None:
        launcher.terminate()
        try:
            launcher.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()
