"""One platform for all end-to-end tests: started once by `make demo`, ended by `make down` whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.platform import processes, updown
from tests.e2e.letters import write_files
from tests.e2e.platform_under_test import DEMO, Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform on which the demo ran once, with the DAG of a second detector; nothing of it is left afterwards."""
    repository = tmp_path_factory.mktemp("repository")
    write_files(repository)
    platform = Platform(tmp_path_factory.mktemp("sandbox"), repository / "dags")
    state: dict[str, Any] = {}
    try:
        first = platform.make("demo", DEMO)
        state = platform.state() if (platform.home / "platform.json").exists() else {}
        (platform.home / "first-demo.txt").write_text(first.stdout + first.stderr)
        assert first.returncode == 0, first.stdout + first.stderr
        yield platform
    finally:
        platform.make("down")
        if state:
            processes.stop(processes.of_sandbox(state["identity"], updown.servers_of(state)))
