"""What the platform leaves alone while it runs, and that it leaves nothing behind. Last: it ends the platform."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pytest

from sandbox.platform import processes, updown
from tests.e2e.platform_under_test import Platform
from tests.support.processes import until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("digits")]


@pytest.fixture(scope="module", autouse=True)
def others_have_ended(platform: Platform, request: pytest.FixtureRequest) -> None:
    """Wait for the other worker's tests, where they are chosen: their platform is this one."""
    for module in ("test_second_detector", "test_second_task"):
        if any(f"{module}.py" in item.nodeid for item in request.session.items):
            until(f"{module} ends", platform.ended_file(module).exists, seconds=900)


def test_occupied_port_is_named_with_the_way_out(platform: Platform, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = platform.make("up", AIRFLOW_PORT=port, SANDBOX_HOME=str(tmp_path / "other"))
    assert refused.returncode != 0
    line = next(line for line in refused.stderr.splitlines() if port in line)
    assert "AIRFLOW_PORT" in line


def test_nothing_listens_beyond_loopback(platform: Platform) -> None:
    own = {f"socket:[{inode}]" for inode in listening_beyond_loopback()}
    for pid in platform.processes():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                assert str(descriptor.readlink()) not in own, Path(f"/proc/{pid}/cmdline").read_text()
            except FileNotFoundError:
                continue


def listening_beyond_loopback() -> list[str]:
    """Inodes of listening TCP sockets whose address is not in 127.0.0.0/8 or ::1."""
    found = []
    # Each 32-bit word of an address is reversed: 127.x.y.z ends with 7F, mapped into IPv6 too.
    mapped = "0000000000000000FFFF0000"
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            address = fields[1].split(":")[0]
            loopback = address.endswith("01000000") if len(address) == 32 else address.endswith("7F")
            loopback |= address.startswith(mapped) and address.endswith("7F")
            if fields[3] == "0A" and not loopback:
                found.append(fields[9])
    return found


def test_down_leaves_no_process_and_no_port(platform: Platform) -> None:
    state = platform.state()
    assert platform.make("down").returncode == 0
    assert processes.of_sandbox(state["identity"], updown.servers_of(state)) == []
    for url in state["urls"].values():
        with pytest.raises(OSError):
            urllib.request.urlopen(url, timeout=2)
    assert json.loads((platform.home / "report.json").read_text())["model_version"] == 2
