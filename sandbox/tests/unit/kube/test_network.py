"""The claim on a /24 of loopback: one sandbox has it, and it takes no port."""

from __future__ import annotations

import random
import socket

import pytest

from sandbox.kube.node.network import Network, in_use


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the claim draws next; the rest of it is as random as ever."""
    drawn: list[int] = []
    genuine = random.randint
    monkeypatch.setattr(random, "randint", lambda low, high: drawn.pop(0) if drawn else genuine(low, high))
    return drawn


def test_two_sandboxes_that_draw_the_same_prefix_get_different_ones(numbers: list[int]) -> None:
    first = Network()
    same = [int(part) for part in first.prefix.split(".")[1:]]
    numbers += same
    second = Network()
    try:
        assert not numbers, "the second one has drawn the first one's prefix"
        assert second.prefix != first.prefix
    finally:
        second.close()
        first.close()


def test_a_prefix_that_was_given_back_can_be_had_again(numbers: list[int]) -> None:
    first = Network()
    first.close()
    numbers += [int(part) for part in first.prefix.split(".")[1:]]
    second = Network()
    second.close()
    assert second.prefix == first.prefix


def test_a_port_of_an_address_is_in_use_when_a_program_listens_on_every_address() -> None:
    network = Network()
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert in_use(network.host, port)
    assert not in_use(network.host, port)
    network.close()
