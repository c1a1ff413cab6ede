"""A connection that ends without an answer costs the caller nothing; everything else is told once."""

import asyncio
import time
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from fake_triton import ROWS, Fate, GrpcServer, HttpServer, unused_port
from yolo_client import AsyncDetector, Detector, NotServing, Protocol, RequestRefused
from yolo_client.letterbox import Floats

IMAGE = np.zeros((1, 3, 32, 32), np.float32)
# Sends some requests one after the other through one client, with something done before each.
Send = Callable[..., list[Floats]]


def blocking(
    address: str,
    protocol: Protocol = "http",
    times: int = 1,
    timeout: float = 10.0,
    before: Callable[[], object] = list,
) -> list[Floats]:
    """With `Detector`."""
    found = []
    with Detector(address, "digits", protocol, timeout) as detector:
        for _ in range(times):
            before()
            found += detector.infer(IMAGE)
    return found


def awaited(
    address: str,
    protocol: Protocol = "http",
    times: int = 1,
    timeout: float = 10.0,
    before: Callable[[], object] = list,
) -> list[Floats]:
    """With `AsyncDetector`."""

    async def ask() -> list[Floats]:
        found = []
        async with AsyncDetector(address, "digits", protocol, timeout) as detector:
            for _ in range(times):
                await asyncio.to_thread(before)
                found += await detector.infer(IMAGE)
        return found

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, awaited], ids=["blocking", "asyncio"])
def send(request: pytest.FixtureRequest) -> Send:
    """One of the two clients."""
    chosen: Send = request.param
    return chosen


def test_requests_share_a_kept_connection(send: Send) -> None:
    with HttpServer([]).running() as server:
        found = send(server.address, times=3)
        assert (len(server.seen), server.connections) == (3, 1)
    for rows in found:
        np.testing.assert_array_equal(rows, ROWS)


def test_a_connection_closed_between_two_requests_is_replaced(send: Send) -> None:
    with HttpServer(["answer and close"]).running() as server:
        steps: Iterator[Callable[[], object]] = iter([list, lambda: server.closed.wait(10)])
        assert len(send(server.address, times=2, before=lambda: next(steps)())) == 2
        assert (len(server.seen), server.connections) == (2, 2)


@pytest.mark.parametrize("fate", ["close", "reset"])
def test_a_connection_that_ends_under_a_request_is_replaced(send: Send, fate: Fate) -> None:
    """As when the server gives up an idle connection just as the request arrives."""
    with HttpServer(["answer", fate]).running() as server:
        assert len(send(server.address, times=3)) == 3
        assert (len(server.seen), server.connections) == (4, 2)


@pytest.mark.parametrize("fate", ["close", "reset"])
def test_a_request_is_made_twice_at_most(send: Send, fate: Fate) -> None:
    with HttpServer([fate] * 10).running() as server:
        with pytest.raises(NotServing, match=f"no answer from Triton at {server.address} .*check the address"):
            send(server.address)
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fate", "kind", "reason"),
    [
        ("refuse", RequestRefused, "that is no picture"),
        ("fail", NotServing, "overloaded"),
        ("cut", NotServing, "no answer from Triton"),
        ("hang", NotServing, "no answer from Triton"),
    ],
)
def test_an_answer_that_came_and_one_that_does_not_come_are_not_asked_for_again(
    send: Send, fate: Fate, kind: type[Exception], reason: str
) -> None:
    with HttpServer([fate]).running() as server:
        with pytest.raises(kind, match=reason):
            send(server.address, timeout=1.0)
        assert len(server.seen) == 1


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_where_nothing_listens_it_is_said_at_once(send: Send, protocol: Protocol) -> None:
    started = time.monotonic()
    with pytest.raises(NotServing, match=r"(?i)refused|connect"):
        send(f"127.0.0.1:{unused_port()}", protocol)
    assert time.monotonic() - started < 5


def test_a_grpc_server_that_went_and_came_back_between_two_requests(send: Send) -> None:
    servers = [GrpcServer(), GrpcServer()]
    first = servers[0].running()
    port = first.__enter__()

    def replace() -> None:
        first.__exit__(None, None, None)
        second.__enter__()

    second = servers[1].running(port)
    steps: Iterator[Callable[[], object]] = iter([list, replace])
    assert len(send(f"127.0.0.1:{port}", "grpc", times=2, before=lambda: next(steps)())) == 2
    second.__exit__(None, None, None)
    assert [server.seen for server in servers] == [1, 1]


@pytest.mark.parametrize(
    ("errors", "message", "kind", "seen"),
    [
        ([grpc.StatusCode.UNAVAILABLE], "Socket closed", None, 2),
        ([grpc.StatusCode.UNAVAILABLE] * 9, "Socket closed", NotServing, 2),
        ([grpc.StatusCode.UNAVAILABLE], "Exceeds maximum queue size", NotServing, 1),
        ([grpc.StatusCode.UNAVAILABLE], "Request for unknown model: 'digits' is not found", NotServing, 1),
        ([grpc.StatusCode.INVALID_ARGUMENT], "that is no picture", RequestRefused, 1),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED], "Received RST_STREAM with error code 11", None, 2),
        ([grpc.StatusCode.RESOURCE_EXHAUSTED], "Received message larger than max", RequestRefused, 1),
        ([grpc.StatusCode.DEADLINE_EXCEEDED], "Deadline Exceeded", NotServing, 1),
    ],
)
def test_grpc_makes_a_second_attempt_only_where_the_connection_was_lost(
    send: Send, errors: list[grpc.StatusCode], message: str, kind: type[Exception] | None, seen: int
) -> None:
    server = GrpcServer(errors, message)
    with server.running() as port:
        if kind is None:
            np.testing.assert_array_equal(send(f"127.0.0.1:{port}", "grpc")[0], ROWS)
        else:
            with pytest.raises(kind, match=message):
                send(f"127.0.0.1:{port}", "grpc")
    assert server.seen == seen
