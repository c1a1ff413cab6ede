"""A port that leads to another one for a while: how a server goes out of reach and comes back, without a restart."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.processes import free_port


class Forwarding:
    """A port on loopback that leads to `target`, another one, while it is open. Closed, it refuses connections."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def opened(self) -> Iterator[Forwarding]:
        """Leads there while the block lasts; connections that are open then stay so until one end closes them."""
        target = self.target

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", target)) as onward:
                    back = threading.Thread(target=pass_on, args=(onward, self.request), daemon=True)
                    back.start()
                    pass_on(self.request, onward)
                    back.join()

        with Listener(("127.0.0.1", self.port), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class Listener(socketserver.ThreadingTCPServer):
    """Waits for no connection when it closes."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


def pass_on(source: socket.socket, target: socket.socket) -> None:
    """Passes bytes on until the source ends, and then says so to the target."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
