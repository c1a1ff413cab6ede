"""Counts the bytes that really cross a socket, through a relay on the loopback interface."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

# Multiples of the number of pictures, so that each is sent equally often.
SHORT, LONG = 4, 12


class Relay:
    """Forwards connections to a port and counts the bytes of both directions."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.total = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Ends every connection."""
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 18):
                with self._lock:
                    self.total += len(part)
                target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def bytes_per_request(count: Callable[[int], int]) -> int:
    """Bytes of a request and its answer, both ways.

    Args:
        count: sends so many requests over a new connection and returns all its bytes; what a connection costs once is
            thereby known and subtracted.
    """
    return round((count(LONG) - count(SHORT)) / (LONG - SHORT))
