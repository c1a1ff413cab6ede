"""One run of one container: a local process below the shim, with its log."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sandbox.kube.node.logs import LogFile

_SHIM = Path(__file__).with_name("shim.py")


class StartError(Exception):
    """The command cannot be run at all (reason StartError, exit code 128)."""


class Process:
    """A running container. ``wait`` gives its exit code; nothing of it is left when that returns."""

    def __init__(self, handle: asyncio.subprocess.Process, pipe: int, log: LogFile) -> None:
        self._handle = handle
        self._pipe = pipe
        self.log = log
        self._done: asyncio.Task[int] = asyncio.create_task(self._finish())

    @classmethod
    async def start(
        cls,
        argv: list[str],
        env: dict[str, str],
        workdir: Path,
        log: LogFile,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Process:
        """Start a command; ``stop_signal`` is what its image wants to be stopped by.

        Raises StartError as a container runtime would for a command that is not there.
        """
        check_command(argv, env, workdir)
        read_end, write_end = os.pipe()
        try:
            handle = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(_SHIM), str(read_end), str(int(stop_signal)), *argv,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=workdir, env=env, pass_fds=(read_end,), start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            os.close(write_end)
            raise StartError(f"cannot start {argv[0]!r}: {error}") from error
        finally:
            os.close(read_end)
        return cls(handle, write_end, log)

    async def _finish(self) -> int:
        assert self._handle.stdout is not None and self._handle.stderr is not None
        await asyncio.gather(
            self.log.drain("stdout", self._handle.stdout), self.log.drain("stderr", self._handle.stderr)
        )
        code = await self._handle.wait()
        os.close(self._pipe)
        self.log.close()
        return code if code >= 0 else 128 - code

    async def wait(self) -> int:
        """The exit code: 128 + number for a signal."""
        return await asyncio.shield(self._done)

    @property
    def ended(self) -> bool:
        """Whether the process and all its descendants are gone."""
        return self._done.done()

    def terminate(self) -> None:
        """The stop signal to the main process."""
        # SIGTERM to the shim, which knows which one the image wants.
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to everything that the container started."""
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        # Not handle.send_signal: before Python 3.12 it reaps a process that has just ended, and asyncio, which then
        # finds nothing to reap, reports exit code 255 whatever the code was (python/cpython#87744).
        if self._handle.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._handle.pid, number)


def check_command(argv: list[str], env: dict[str, str], workdir: Path) -> None:
    """Raise StartError when the command or its working directory does not exist."""
    if not argv or not argv[0]:
        raise StartError("no command specified: neither the container nor its image in images.yaml has one")
    if not workdir.is_dir():
        raise StartError(f"the working directory {workdir} does not exist")
    command = argv[0] if "/" not in argv[0] else str(workdir / argv[0])
    if shutil.which(command, path=env["PATH"]) is None:
        where = "$PATH" if "/" not in argv[0] else "the file system, or is not executable"
        raise StartError(f'exec: "{argv[0]}": executable file not found in {where}')


async def run_beside(argv: list[str], env: dict[str, str], workdir: Path, limit: float) -> tuple[int, str]:
    """Run a command in a container's surroundings, for probes and hooks; (exit code, output), 124 after ``limit`` s."""
    try:
        check_command(argv, env, workdir)
        handle = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=workdir, env=env, start_new_session=True,
        )  # fmt: skip
    except (StartError, OSError) as error:
        return 126, str(error)
    try:
        async with asyncio.timeout(limit):
            output, _ = await handle.communicate()
    except TimeoutError:
        return 124, f"command timed out after {limit:g}s"
    finally:
        if handle.returncode is None:
            os.killpg(handle.pid, signal.SIGKILL)
            await handle.wait()
    return handle.returncode or 0, output.decode(errors="replace").strip()[:1024]
