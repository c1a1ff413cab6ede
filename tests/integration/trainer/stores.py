"""Where weights come from, and where artifacts go: a web server and an S3 server on loopback."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from pods import ROOT, free_port

MOTO = ROOT / ".venv/dev/bin/moto_server"
BUCKET = "weights"


class Web:
    """A web server: ``files`` maps a path to its content, or to the status that is answered instead."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | int] = {}
        self.requests: list[str] = []  # paths that were got
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(send=False)

            def do_GET(self) -> None:
                web.requests.append(self.path)
                self._answer(send=True)

            def _answer(self, send: bool) -> None:
                content = web.files.get(self.path.partition("?")[0], 404)
                if isinstance(content, int):
                    self.send_error(content)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if send:
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class S3:
    """An S3 server with one bucket; ``variables`` tell a pod of it."""

    def __init__(self) -> None:
        port = free_port()
        self.variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._process = subprocess.Popen(
            [str(MOTO), "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert self._process.poll() is None, "moto_server ended"
            time.sleep(0.1)
        raise AssertionError("moto_server did not start")

    def put(self, file: Path, key: str) -> str:
        """Store a file; its URI."""
        import s3fs

        filesystem = s3fs.S3FileSystem(
            key="test", secret="test", endpoint_url=self.variables["AWS_ENDPOINT_URL"], skip_instance_cache=True
        )
        if not filesystem.exists(BUCKET):
            filesystem.mkdir(BUCKET)
        filesystem.put_file(str(file), f"{BUCKET}/{key}")
        return f"s3://{BUCKET}/{key}"

    def stored(self) -> set[str]:
        """What is stored."""
        import s3fs

        filesystem = s3fs.S3FileSystem(
            key="test", secret="test", endpoint_url=self.variables["AWS_ENDPOINT_URL"], skip_instance_cache=True
        )
        return {str(path).removeprefix(f"{BUCKET}/") for path in filesystem.find(BUCKET)}

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
