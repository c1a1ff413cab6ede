"""Before anything starts, `up` says which port another program has."""

from __future__ import annotations

import socket

import pytest

from sandbox.platform.config import SandboxError
from sandbox.platform.processes import check_pod_ports, port_for


def test_a_program_that_listens_on_every_address_is_told_with_the_way_out() -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=f"port {port} of every address.*listen on 127.0.0.1 alone"):
            check_pod_ports([port])


def test_a_program_that_listens_on_127_0_0_1_alone_is_no_hindrance_to_pods() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        check_pod_ports([other.getsockname()[1]])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_s_own_port_is_asked_for_by_its_option(host: str) -> None:
    with socket.create_server((host, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"Port {port} for Airflow is in use.*AIRFLOW_PORT=0"):
            port_for("Airflow", port, "AIRFLOW_PORT")
