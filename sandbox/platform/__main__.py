"""`python -m sandbox.platform up|demo|status|down|clean`, as the Makefile calls it."""

from __future__ import annotations

import argparse
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import status, updown
from .config import REPOSITORY_ROOT, Config, SandboxError


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """Only one command at a time may start or stop the platform."""
    config.home.mkdir(parents=True, exist_ok=True)
    with (config.home.parent / f".{config.home.name.lstrip('.')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _demo(config: Config, urls: dict[str, str]) -> int:
    """Run the pipeline on what is up, by a program of its own that knows a platform by its addresses alone."""
    options = ["--airflow", urls["airflow"], "--mlflow", urls["mlflow"], "--home", str(config.home)]
    command = [sys.executable, "-m", "tools.demo", *options, "--repository", str(config.bare_repository)]
    try:
        return subprocess.run(command, cwd=REPOSITORY_ROOT).returncode
    except KeyboardInterrupt:
        return 130  # the program got the same signal and has said what it means


def main() -> int:
    """Run the command; errors that a person can fix are one paragraph on stderr."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.platform", description=__doc__)
    parser.add_argument("command", choices=("up", "demo", "status", "down", "clean"))
    command = parser.parse_args().command
    try:
        config = Config.from_environment()
        if command == "status":
            return status.show(config)
        with _alone(config):
            if command == "down":
                updown.say(updown.down(config).text())
            elif command == "clean":
                updown.say(f"{updown.clean(config).text()}; {config.home} is removed")
            else:
                urls = updown.up(config)["urls"]
        if command == "up":
            return status.show(config)
        return _demo(config, urls) if command == "demo" else 0
    except SandboxError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{command}: interrupted. What was started continues; `make down` stops it.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
