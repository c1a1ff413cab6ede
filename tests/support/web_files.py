"""A web server on loopback whose files, headers and refusals a test changes while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebFiles:
    """`files` maps a path to the headers of its answer, or to the status that is answered instead."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, dict[str, str] | int] = {}
        self.bytes_sent = 0


@contextmanager
def web_files() -> Iterator[WebFiles]:
    """Serve until the block ends."""
    web = WebFiles("")
    body = b"dataset" * 100

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            if self.answer():
                web.bytes_sent += self.wfile.write(body)

        def answer(self) -> bool:
            found = web.files.get(self.path, 404)
            self.send_response(found if isinstance(found, int) else 200)
            headers = {} if isinstance(found, int) else {"Content-Length": str(len(body)), **found}
            for name, value in (headers or {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()
            return not isinstance(found, int)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
