"""A container's process: what a person reads as its exit code is the code that it ended with."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from sandbox.kube.node.logs import LogFile
from sandbox.kube.node.process import Process

ROUNDS = 20


def test_a_process_that_ends_while_it_is_told_to_keeps_its_exit_code(tmp_path: Path) -> None:
    """asyncio reported 255 for most of these when the signal's sender reaped the process first."""

    async def ends_on_its_own(number: int) -> int:
        log = LogFile(tmp_path / f"{number}.log")
        command = ["sh", "-c", "trap '' TERM; echo ready; sleep 0.05; exit 7"]
        process = await Process.start(command, {"PATH": os.environ["PATH"]}, tmp_path, log)
        while not process.ended:
            if "ready" in log.path.read_text():
                process.terminate()
            await asyncio.sleep(0)
        return await process.wait()

    async def all_rounds() -> list[int]:
        return [await ends_on_its_own(number) for number in range(ROUNDS)]

    assert asyncio.run(all_rounds()) == [7] * ROUNDS


def test_a_process_is_told_to_end_by_its_image_s_stop_signal(tmp_path: Path) -> None:
    async def stopped() -> int:
        log = LogFile(tmp_path / "log")
        command = ["sh", "-c", "trap 'exit 3' USR1; trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done"]
        process = await Process.start(command, {"PATH": os.environ["PATH"]}, tmp_path, log, signal.SIGUSR1)
        while not process.ended:
            if "ready" in log.path.read_text():
                process.terminate()
            await asyncio.sleep(0)
        return await process.wait()

    assert asyncio.run(stopped()) == 3
