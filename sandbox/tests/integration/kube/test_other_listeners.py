"""Beside programs that listen on every address of the machine, as a real Kubernetes does on 6443."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from kubernetes import client

from sandbox.tests.support.kube import Server, deployment, eventually, pod, service

KUBERNETES_PORT = 6443


@pytest.fixture
def real_kubernetes() -> Iterator[None]:
    """Something listens on 0.0.0.0:6443: this test, or, where the port is taken, what the machine runs."""
    try:
        listener = socket.create_server(("0.0.0.0", KUBERNETES_PORT))
    except OSError:
        yield
        return
    with listener:
        yield


@pytest.mark.usefixtures("real_kubernetes")
def test_two_sandboxes_start_and_serve_beside_a_real_kubernetes(tmp_path: Path) -> None:
    servers = [Server(tmp_path / name) for name in ("one", "two")]
    try:
        addresses = []
        for server in servers:
            apps, core = client.AppsV1Api(server.api_client), client.CoreV1Api(server.api_client)
            apps.create_namespaced_deployment("default", deployment("web", server.root.name))
            addresses.append(core.create_namespaced_service("default", service("web")).spec.cluster_ip)
        for server, address in zip(servers, addresses, strict=True):
            found = eventually(partial(_answer, address), f"an answer of {server.root.name}")
            assert found == server.root.name
        assert addresses[0].rpartition(".")[0] != addresses[1].rpartition(".")[0]
    finally:
        codes = [server.stop() for server in servers]
    assert codes == [0, 0]


def test_a_pod_whose_port_another_program_has_says_so(core: client.CoreV1Api, namespace: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        container = {"ports": [{"containerPort": port}]}
        core.create_namespaced_pod(namespace, pod("a", "pass", container=container))
        events = eventually(
            lambda: core.list_namespaced_event(namespace, field_selector="reason=PortInUse").items, "the event"
        )
    assert f"port {port} is in use on every address" in events[0].message and "127.0.0.1 alone" in events[0].message


def _answer(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}:8000/index.html", timeout=5) as answer:
            return str(answer.read().decode().strip())
    except OSError:
        return ""
