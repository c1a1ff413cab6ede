"""The watch over the network sees what it has to: a test that relies on it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from watched import run_watched

CONNECT = "import socket; socket.create_connection(('192.0.2.1', 443))"


@pytest.mark.parametrize(
    ("code", "requests"),
    [
        (CONNECT, ["socket.getaddrinfo 192.0.2.1"]),
        ("import socket; socket.socket().connect(('192.0.2.1', 443))", ["socket.connect 192.0.2.1"]),
        (
            "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'1', ('192.0.2.1', 53))",
            ["socket.sendto 192.0.2.1"],
        ),
        ("import urllib.request; urllib.request.urlopen('http://a.test')", ["socket.getaddrinfo a.test"]),
        (
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT!r}])",
            ["socket.getaddrinfo 192.0.2.1"],
        ),
        (
            "import multiprocessing, socket; multiprocessing.get_context('spawn').Process("
            "target=socket.create_connection, args=(('192.0.2.1', 443),)).start()",
            ["socket.getaddrinfo 192.0.2.1"],
        ),
        (f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {CONNECT!r}])", ["subprocess.Popen "]),
        ("import subprocess; subprocess.run(['curl', 'http://192.0.2.1'])", ["subprocess.Popen curl"]),
        ("import os; os.system('curl http://192.0.2.1')", ["os.system curl"]),
        ("import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())", []),
        ("import subprocess; subprocess.run(['ldconfig', '-p'])", []),
    ],
)
def test_a_request_to_the_network_is_seen(code: str, requests: list[str], tmp_path: Path) -> None:
    output, found = run_watched(code, tmp_path)
    assert len(found) == len(requests)
    for seen, wanted in zip(found, requests, strict=True):
        assert seen.startswith(wanted)
    assert ("PermissionError" in output) == bool(requests), output
