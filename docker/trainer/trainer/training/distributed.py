"""Training on several GPUs of one pod: a process on each (DDP), of which the first writes checkpoints and metrics.

Ultralytics would start them from a script that it generates, with all callbacks pickled into a file. Here each process
makes its own trainer from the same arguments, so that what holds for one GPU holds for several. In one pod nothing of
torch's launcher is needed beyond the variables that it sets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ultralytics.utils.dist import find_free_network_port

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
        TrainerError: one has failed, after which the others were ended.
    """
    file = folder / ARGUMENTS
    file.write_text(json.dumps(arguments), encoding="utf-8")
    say(f"Starting {processes} processes, one on each GPU")
    port = find_free_network_port()
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(processes):
            variables = os.environ | _variables(rank, processes, port)
            started.append(subprocess.Popen([sys.executable, "-m", WORKER, str(file)], env=variables))
        _wait(started)
    finally:
        # Where one has failed, or this process is told to stop.
        _end(started)


def _variables(rank: int, processes: int, port: int) -> dict[str, str]:
    """What torch and Ultralytics read from the environment to find the other processes."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",  # whatever the pod's name resolves to
        "MASTER_PORT": str(port),
        # What runtime.start set for one process is another figure for several.
        "OMP_NUM_THREADS": str(max(1, cpu_count() // processes)),
    }


def _wait(started: list[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, or one has failed: the others would wait for it for ever."""
    while True:
        states = [process.poll() for process in started]
        for rank, status in enumerate(states):
            if status:
                raise TrainerError(
                    f"The training on {len(started)} GPUs ended: process {rank} has failed with status {status}. What "
                    "it said is above; a retry continues from the last checkpoint."
                )
        if all(status == 0 for status in states):
            return
        time.sleep(0.2)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    for process in started:
        process.terminate()
    deadline = time.monotonic() + STOP_TIME
    for process in started:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
