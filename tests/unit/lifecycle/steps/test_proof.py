"""How long a server is asked before a rollout has failed."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle.errors import ClusterUnavailable, RolloutFailed, ServingUnavailable
from lifecycle.hooks.kubernetes import ClusterHook
from lifecycle.model.pin import Pin
from lifecycle.model.target import Endpoint, Target
from lifecycle.settings import settings
from lifecycle.steps import proof

TARGET, PIN = Target("staging", "fleet", "digits"), Pin(3, "a" * 64, "r3")


class Cluster:
    """Where KServe's agent loads the model into a pod that is there, or a rollout replaced the pod."""

    def __init__(self, trained: bool | None) -> None:
        self._trained = trained

    def is_trained_model(self, target: Target) -> bool:
        assert target == TARGET
        if self._trained is None:
            raise ClusterUnavailable("the API server is down")
        return self._trained

    def replicas(self, target: Target) -> list[str]:
        return []

    def pods(self, target: Target) -> list[dict[str, Any]]:
        return []


class Server:
    """Answers from a certain question on."""

    def __init__(self, after: int) -> None:
        self.asked, self._after = 0, after

    def question(self, url: str) -> str:
        self.asked += 1
        if self.asked <= self._after:
            raise ServingUnavailable("no available versions")
        return "version 3"


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask a server that answers after the setting's time, in a cluster of one kind."""
    monkeypatch.setenv("LIFECYCLE_VERIFY_TIMEOUT", "1")
    settings.cache_clear()
    monkeypatch.setattr(proof, "POLL", 0.4)
    monkeypatch.setattr(proof, "endpoint", lambda target: Endpoint("http://127.0.0.1:1", "127.0.0.1:2"))

    def asked(server: Server, trained: bool | None) -> str:
        monkeypatch.setattr(ClusterHook, "from_settings", lambda: Cluster(trained))
        return proof.ask(TARGET, PIN, server.question)[1]

    yield asked
    settings.cache_clear()


def test_a_trained_model_may_come_later_than_a_pod(ask: Any) -> None:
    assert ask(Server(after=6), trained=True) == "version 3"


@pytest.mark.parametrize("trained", [False, None], ids=["a pod", "nobody knows"])
def test_what_does_not_answer_in_time_has_failed_with_the_servers_reason(ask: Any, trained: bool | None) -> None:
    server = Server(after=1000)
    with pytest.raises(RolloutFailed, match=r"does not serve version 3.*no available versions"):
        ask(server, trained=trained)
    assert server.asked <= 6
