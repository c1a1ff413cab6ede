"""The Service proxy gives back what it holds for a connection."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from sandbox.kube.controllers import proxy as proxy_module
from sandbox.kube.controllers.proxy import PortProxy


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"yes")
    writer.close()


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"?")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_connections_that_both_ends_have_closed_are_closed(free_port: int) -> None:
    async def scenario() -> tuple[int, int]:
        server = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
        proxy = PortProxy("127.0.0.1", free_port, lambda message: None)
        proxy.update([server.sockets[0].getsockname()[:2]])
        await asyncio.sleep(0.1)
        assert await ask(free_port) == b"yes"
        before = descriptors()
        for _ in range(50):
            assert await ask(free_port) == b"yes"
        await asyncio.sleep(0.3)
        after = descriptors()
        proxy.close()
        server.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert after <= before + 2


def test_a_client_that_is_gone_is_dropped_though_the_server_says_nothing(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_module, "HALF_CLOSED", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.close()

    async def scenario() -> tuple[int, int]:
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        proxy = PortProxy("127.0.0.1", free_port, lambda message: None)
        proxy.update([server.sockets[0].getsockname()[:2]])
        await asyncio.sleep(0.1)
        before = descriptors()
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", free_port)
            writer.close()
        await asyncio.sleep(1.0)
        # The silent server's own ends are in this process too: one descriptor for each connection.
        after = descriptors() - 20
        proxy.close()
        server.close()
        return before, after

    before, after = asyncio.run(scenario())
    assert after <= before + 2


def test_an_endpoint_whose_process_is_gone_is_passed_over(free_port: int) -> None:
    async def scenario() -> list[bytes]:
        server = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
        gone = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
        backends = [each.sockets[0].getsockname()[:2] for each in (gone, server)]
        proxy = PortProxy("127.0.0.1", free_port, lambda message: None)
        proxy.update(backends)
        gone.close()
        await asyncio.sleep(0.1)
        answers = [await ask(free_port) for _ in range(4)]
        proxy.close()
        server.close()
        return answers

    assert asyncio.run(scenario()) == [b"yes"] * 4


def test_what_a_client_sends_at_once_waits_for_the_endpoint(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python 3.11.2 reads on although connection_made has paused reading: the request was lost there."""
    monkeypatch.setattr("asyncio.selector_events._SelectorTransport.pause_reading", lambda transport: None)

    async def answers() -> list[bytes]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"got " + await reader.read())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        proxy = PortProxy("127.0.0.1", free_port, lambda message: None)
        proxy.update([server.sockets[0].getsockname()[:2]])

        def ask() -> bytes:
            with socket.create_connection(("127.0.0.1", free_port), timeout=5) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                return client.recv(100)

        try:
            return [await asyncio.to_thread(ask) for _ in range(20)]
        finally:
            proxy.close()
            server.close()

    assert asyncio.run(answers()) == [b"got hello"] * 20
