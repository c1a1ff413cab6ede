"""A real git smart-http server on loopback: `git http-backend` behind Basic authentication."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Seconds between two looks at whether to end; the standard library's half a second would be most of a test.
POLL = 0.02


class GitHttpServer:
    """Serves the bare repositories below `root` to one user. Its knobs make it misbehave as real servers do."""

    def __init__(self, root: Path, token: str) -> None:
        self.root = root
        self.username = "robot"
        self.token = token
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.fail_first = 0
        self.always: int | None = None
        self.redirect_to: str | None = None
        self.on_request: Callable[[], None] = lambda: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> GitHttpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def admits(self, header: str | None) -> bool:
        expected = base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        return header == f"Basic {expected}"


def _handler(server: GitHttpServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            body = self._body()
            server.requests.append(f"{self.command} {self.path}")
            if (header := self.headers.get("Authorization")) is not None:
                server.authorizations.append(header)
            server.on_request()
            if server.redirect_to is not None:
                return self._answer(302, {"Location": f"{server.redirect_to}{self.path}"}, b"")
            if server.always is not None:
                return self._answer(server.always, {}, b"no\n")
            if server.fail_first > 0:
                server.fail_first -= 1
                return self._answer(503, {}, b"restarting\n")
            if not server.admits(header):
                return self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"who are you?\n")
            path, _, query = self.path.partition("?")
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": server.username,
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
            status = int(headers.pop("Status", "200").split()[0])
            return self._answer(status, headers, content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while (size := int(self.rfile.readline().strip(), 16)) > 0:
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
