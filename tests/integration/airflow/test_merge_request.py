"""Delivery by merge request: the run waits for the merge, and a request that is closed changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.support.git_http_server import GitHttpServer
from tests.support.hosting_service import HostingService
from tests.support.processes import until

TOKEN = "host-token"


@pytest.fixture
def service(
    platform: Platform, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[HostingService]:
    bare = platform.repository.bare
    connection = {"conn_type": "git", "login": "robot", "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_RELEASE", json.dumps(connection))
    with HostingService("gitea", "release", bare, TOKEN) as host, GitHttpServer(bare.parent, token=TOKEN) as server:
        configure(
            GITOPS_URL=f"http://{server.origin}/release.git",
            GITOPS_DELIVERY="gitea",
            GITOPS_API_URL=host.url,
            GITOPS_CONN_ID="release",
            MERGE_POLL=1,
        )
        yield host


def reviewer(service: HostingService, act: Callable[[], None]) -> threading.Thread:
    """A person who acts on the request once it is open."""

    def review() -> None:
        until("a merge request", lambda: service.entries, seconds=120)
        act()

    thread = threading.Thread(target=review)
    thread.start()
    return thread


def test_merged_request_goes_live(platform: Platform, run: Run, service: HostingService) -> None:
    person = reviewer(service, lambda: service.merge(1))
    ended = run(**platform.params())
    person.join()
    assert ended.state == "success", ended.text[-5000:]
    assert ended.pull("promote")["outcome"] == "requested"
    assert (platform.served.version, platform.alias()) == (1, "1")
    assert platform.client.get_model_version(platform.model, "1").tags["commit"] == platform.repository.tip
    assert TOKEN not in ended.text


@pytest.mark.extended
def test_closed_request_fails_the_run_and_changes_nothing(
    platform: Platform, run: Run, service: HostingService
) -> None:
    before = platform.repository.tip

    def close() -> None:
        service.entries[0].state = "closed"

    person = reviewer(service, close)
    ended = run(**platform.params())
    person.join()
    assert [ended.tasks[task] for task in ("promote", "wait_for_rollout", "restore")] == [
        "success",
        "failed",
        "skipped",
    ]
    assert ended.state == "failed"
    assert "was closed and not merged" in one_line(ended.text)
    assert platform.repository.tip == before
