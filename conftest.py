"""For every test of the repository: what one worker of pytest-xdist runs."""

from __future__ import annotations

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a file's tests in one worker, so that what they share is set up once; a named group stays as it is.

    The scheduler of `--dist=loadgroup` reads the group after an @ in a test's id. xdist 3.8 writes that to an attribute
    that pytest 9.2 no longer reads, so all groups are lost without a word; hence it is written here, in each worker.
    """
    in_groups = hasattr(config, "workerinput") and config.getvalue("loadgroup")
    for item in items:
        marked = item.get_closest_marker("xdist_group")
        group = item.nodeid.split("::")[0] if marked is None else marked.kwargs.get("name") or marked.args[0]
        if in_groups:
            item._id = NodeId.parse(f"{item.nodeid}@{group}")
