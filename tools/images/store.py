"""buildah, on a storage of its own, which can be deleted as a folder once nothing in it is mounted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tools.images.errors import ImageError

TAIL = 15


class Store:
    """Images, working containers and logs below one folder."""

    def __init__(self, home: Path) -> None:
        """Only remembers the folder; `open` makes it."""
        self.home = home
        self.tmp = home / "tmp"
        self.logs = home / "logs"
        self._driver = "overlay"

    def open(self) -> None:
        """Make the folders and see which storage driver works here: vfs, where overlay does not, copies every layer."""
        for folder in (self.tmp, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        if self._call("info").returncode:
            shutil.rmtree(self.home / "store", ignore_errors=True)
            self._driver = "vfs"
            self.run("info", "info")

    @property
    def layers(self) -> list[str]:
        """Whether a build keeps its layers for the next one: with vfs each would be a copy of the whole image."""
        return ["--layers"] if self._driver == "overlay" else ["--layers=false"]

    def command(self, *arguments: str) -> list[str]:
        """A command line of buildah for this storage."""
        place = ["--root", str(self.home / "store"), "--runroot", str(self.home / "run")]
        return ["buildah", *place, "--storage-driver", self._driver, *arguments]

    def run(self, step: str, *arguments: str) -> str:
        """Run buildah with its output going to the step's log; what it printed.

        Raises:
            ImageError: it failed; the end of the log is in the message.
        """
        return execute(self.command(*arguments), self.logs / f"{step}.log", self.tmp)

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True)

    def config(self, image: str) -> dict[str, Any]:
        """The image's configuration: User, Env, Labels and the like."""
        done = self._call("inspect", "--type", "image", image)
        if done.returncode:
            raise ImageError(f"buildah does not know {image}: {done.stderr.strip()}")
        config: dict[str, Any] = json.loads(done.stdout)["Docker"]["config"]
        return config

    def size(self, image: str) -> str:
        """The image's size, as buildah tells it."""
        done = self._call("images", "--json", image)
        return str(json.loads(done.stdout)[0]["size"]) if not done.returncode else "size unknown"

    def close(self) -> None:
        """Remove working containers and their mounts; the images stay."""
        if (self.home / "store").exists():
            self._call("umount", "--all")
            self._call("rm", "--all")
            for mount in self.mounts():
                subprocess.run(["umount", "--lazy", mount], capture_output=True)

    def mounts(self) -> list[str]:
        """What is mounted below the folder, the innermost first."""
        found = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        # overlay's own base folder is a bind mount on itself that buildah keeps.
        return sorted((place for place in found if place.startswith(f"{self.home}/")), reverse=True)

    def delete(self) -> None:
        """Forget everything that was built."""
        self.close()
        if (self.home / "store").exists():
            self._call("rmi", "--all", "--force")
        if self.mounts():
            raise ImageError(f"{self.mounts()[0]} is still mounted, so {self.home} was not deleted. `umount` it first.")
        shutil.rmtree(self.home, ignore_errors=True)


def execute(command: list[str], log: Path, tmp: Path) -> str:
    """Run a command in a process group of its own, which ends with it, and return its output.

    Raises:
        ImageError: it cannot be started, or failed; the end of its output is in the message.
    """
    environment = {**os.environ, "TMPDIR": str(tmp)}
    process = None
    try:
        # What is started while an interrupt arrives would otherwise run on with nobody who knows of it.
        with log.open("w") as output, interrupts_held():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        code = process.wait()
    except BaseException:
        # Interrupted. buildah has children of its own, which would continue.
        if process is not None:
            stop(process)
        raise
    said = log.read_text(errors="replace")
    if code:
        end = "\n      ".join(said.strip().splitlines()[-TAIL:])
        raise ImageError(f"`{command[0]}` ended with {code}. The end of {log}:\n      {end}")
    return said


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process group: first asked, and after some seconds made to."""
    with interrupts_held():
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM wait; what arrived then acts at its end. In a program's first thread."""
    arrived: list[int] = []
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Those that are ignored stay so: what is started here inherits that.
    held = [number for number, handler in former.items() if handler is not signal.SIG_IGN]
    for number in held:
        signal.signal(number, lambda signum, frame: arrived.append(signum))
    try:
        yield
    finally:
        for number in held:
            signal.signal(number, former[number])
    for signum in dict.fromkeys(arrived):
        signal.raise_signal(signum)
