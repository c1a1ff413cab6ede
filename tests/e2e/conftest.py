"""One platform for all end-to-end tests: started once by `make demo`, ended by `make down` whatever happens.

Two workers of pytest-xdist share it, one for each detector: whichever comes first starts it, and the process that
started the workers ends it, so that a worker that dies leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.platform import processes, updown
from tests.e2e.letters import write_files
from tests.e2e.platform_under_test import DEMO, Platform

HERE = Path(__file__).parent
# Of a test with what is set up for it: a whole release, on a platform that may be at work for another.
LIMIT = 1800


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that hangs is ended (pyproject.toml); here the first of a file waits for trainings in pods."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LIMIT))


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform on which the demo ran once, with the DAG of a second detector; nothing of it is left afterwards."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # each worker's is a folder in that of the process that started it
    shared = platform_in(folder)
    with locked(folder / "platform.lock"):
        if not shared.home.exists():
            write_files(shared.dags.parent)
            shared.home.mkdir()
            first = shared.make("demo", DEMO)
            (shared.home / "first-demo.txt").write_text(first.stdout + first.stderr)
            (shared.home / "first-demo.code").write_text(str(first.returncode))
    said = (shared.home / "first-demo.txt").read_text()
    assert (shared.home / "first-demo.code").read_text() == "0", said
    return shared


def platform_in(folder: Path) -> Platform:
    """The platform of a test run, whose temporary folder this is."""
    return Platform(folder / "sandbox", folder / "repository" / "dags")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone among the processes that take the file's lock; the system frees it when one dies."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the platform, in the process that no worker is."""
    if hasattr(session.config, "workerinput"):
        return
    shared = platform_in(session.config._tmp_path_factory.getbasetemp())  # type: ignore[attr-defined]
    if not shared.home.exists():
        return
    state: dict[str, Any] = shared.state() if (shared.home / "platform.json").exists() else {}
    shared.make("down")
    if state:
        processes.stop(processes.of_sandbox(state["identity"], updown.servers_of(state)))
