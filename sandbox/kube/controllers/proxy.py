"""The TCP proxy of one service port: each new connection goes to the next ready endpoint and stays there.

On a cluster, a client that meets a pod whose process has just died is refused, knows that nothing was sent, and
connects again. Here it is connected before the proxy has tried any pod, so the proxy tries the others.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

Backend = tuple[str, int]
LISTEN_RETRY = 2.0
# Seconds that a connection of which one end has finished may stay open for the other: a closed client looks like one
# that has sent its request and waits, and a server need not answer.
HALF_CLOSED = 60.0


class PortProxy:
    """Listens while there are endpoints; without any, connections are refused, as on a cluster."""

    def __init__(self, host: str, port: int, failed: Callable[[str], None]) -> None:
        self.host = host
        self.port = port
        self.backends: list[Backend] = []
        self._failed = failed
        self._turn = itertools.count()
        self._socket: socket.socket | None = None
        self._server: asyncio.Task[asyncio.Server] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._fronts: set[_Side] = set()

    def update(self, backends: list[Backend]) -> None:
        """Use these endpoints for new connections; established ones stay where they are."""
        self.backends = backends
        if backends and self._socket is None:
            self._listen()
        elif not backends:
            self._unlisten()

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self.update([])
        for side in list(self._fronts):
            side.abort()

    def next_backends(self) -> list[Backend]:
        """Round robin: the one whose turn it is, then the others."""
        turn = next(self._turn) % max(1, len(self.backends))
        return self.backends[turn:] + self.backends[:turn]

    def _listen(self) -> None:
        if self._retry:
            self._retry.cancel()
            self._retry = None
        if not self.backends:
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.host, self.port))
            sock.listen(1024)
        except OSError as error:
            sock.close()
            self._failed(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}; tried again every {LISTEN_RETRY}s"
            )
            self._retry = asyncio.get_running_loop().call_later(LISTEN_RETRY, self._listen)
            return
        self._socket = sock
        loop = asyncio.get_running_loop()
        self._server = loop.create_task(loop.create_server(lambda: _Front(self), sock=sock))

    def _unlisten(self) -> None:
        if self._retry:
            self._retry.cancel()
            self._retry = None
        task, self._server, self._socket = self._server, None, None
        if task and task.done():
            task.result().close()
        elif task:
            task.add_done_callback(lambda done: done.result().close())

    def joined(self, side: _Side) -> None:
        """A connection came."""
        self._fronts.add(side)

    def left(self, side: _Side) -> None:
        """A connection ended."""
        self._fronts.discard(side)


class _Side(asyncio.Protocol):
    """One end of a proxied connection: what it receives, the other end sends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.finished = True
        if not self.other or not self.other.transport or self.other.finished:
            return False  # nothing is left to come: close, and with it the other end
        if self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        # The other direction stays open: a client may have finished its request and wait for the answer.
        asyncio.get_running_loop().call_later(HALF_CLOSED, self._close)
        return True

    def _close(self) -> None:
        if self.transport:
            self.transport.close()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        other, self.other, self.transport = self.other, None, None
        if other and other.transport:
            other.other = None
            if exc:
                other.abort()
            else:
                other.transport.close()

    def abort(self) -> None:
        """End with a reset, so that the peer sees a failure and not an early end."""
        if self.transport:
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


class _Front(_Side):
    """The client's end: finds an endpoint when a connection comes, and keeps for it what the client sends meanwhile.

    Reading is paused then, but until Python 3.11.4 a pause in connection_made has no effect.
    """

    def __init__(self, proxy: PortProxy) -> None:
        super().__init__()
        self.proxy = proxy
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.proxy.joined(self)
        assert self.transport is not None
        self.transport.pause_reading()
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        back = await self._back()
        if back is None:
            self.abort()
            return
        if self.transport is None:
            back.abort()
            return
        self.other, back.other = back, self
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)
        if self.finished and not self.eof_received():
            self._close()
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._connects():
            self._early.append(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        if self._connects():
            self.finished = True
            return True
        return super().eof_received()

    def _connects(self) -> bool:
        return self.other is None and self._connecting is not None and not self._connecting.done()

    async def _back(self) -> _Side | None:
        """A connection to the first endpoint that takes one."""
        for backend in self.proxy.next_backends():
            with suppress(OSError):
                _, back = await asyncio.get_running_loop().create_connection(_Side, *backend)
                return back
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.left(self)
        super().connection_lost(exc)
