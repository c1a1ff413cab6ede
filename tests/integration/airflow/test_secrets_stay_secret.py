"""A run's credentials open the remote, and stand in nothing that the run leaves behind.

What processes see of a token (arguments, environment, files) is looked at in
`tests/integration/gitops/test_gitops_credentials.py`; this is about the DAG: what Airflow, the cluster, git and MLflow
keep of a whole run.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.integration.airflow.dag_runs import Platform, Run
from tests.integration.airflow.servers import one_line
from tests.integration.airflow.traces import PodWatch, inside_base64, places, rendered_fields, traces, xcoms
from tests.support.git_http_server import GitHttpServer
from tests.support.hosting_service import HostingService
from tests.support.processes import until

# Odd but legal characters: each is written differently by URLs, JSON or base64.
TOKEN = "git/tok+en=with&odd%41chars"
API_TOKEN = "api/tok+en=with&odd%42chars"
EXPIRED = "expired/tok+en=with&odd%43chars"
# No secret, and of the same make: where this is found, a token would be.
DATASET = "a/data+set=with&odd%44chars"
EVERYWHERE = {"rendered fields", "XCom", "conf", "database", "output", "pods", "git", "MLflow"}


@dataclass
class Remote:
    """The release repository over http; it admits TOKEN alone. `connect` writes the Airflow connection."""

    server: GitHttpServer
    connect: Callable[..., None]


@pytest.fixture(autouse=True)
def _airflow_masks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow hides passwords that it knows, in the forms that it knows; here the code must do without that."""
    from airflow._shared.secrets_masker import _secrets_masker as of_servers
    from airflow.sdk._shared.secrets_masker import _secrets_masker as of_tasks

    for masker in (of_servers(), of_tasks()):
        monkeypatch.setattr(masker, "min_length_to_mask", 1_000_000)
        monkeypatch.setattr(masker, "hide_sensitive_var_conn_fields", False)
        monkeypatch.setattr(masker, "patterns", set())
        monkeypatch.setattr(masker, "replacer", None)


@pytest.fixture
def remote(platform: Platform, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    def connect(token: str = TOKEN, **extra: str) -> None:
        connection = {"conn_type": "git", "login": "robot", "password": token, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_RELEASE", json.dumps(connection))

    with GitHttpServer(platform.repository.bare.parent, token=TOKEN) as server:
        configure(GITOPS_URL=f"http://{server.origin}/release.git", GITOPS_CONN_ID="release")
        connect()
        yield Remote(server, connect)


@pytest.fixture
def pods(platform: Platform) -> PodWatch:
    return PodWatch(platform)


@pytest.fixture
def service(platform: Platform, remote: Remote, configure: Callable[..., None]) -> Iterator[HostingService]:
    with HostingService("gitea", "release", platform.repository.bare, API_TOKEN) as host:
        configure(GITOPS_DELIVERY="gitea", GITOPS_API_URL=host.url, MERGE_POLL=1)
        remote.connect(api_token=API_TOKEN)
        yield host


def test_the_search_knows_a_basic_header() -> None:
    for around in ("robot:{}", "x:{}", "{}", "token={};"):
        header = base64.b64encode(around.format(TOKEN).encode()).decode()
        assert places(TOKEN, {"header": f"Basic {header}"}) == {"header"}
    assert all(len(form) >= len(TOKEN) for form in inside_base64(TOKEN.encode()))
    assert places(TOKEN, {"log": f"│ https://robot:{TOKEN[:9]}\n│ {TOKEN[9:]}@host"}) == {"log"}
    assert places(API_TOKEN, {"log": TOKEN}) == set()


def test_token_of_a_run_that_goes_live_is_in_nothing_that_it_leaves(
    platform: Platform, run: Run, remote: Remote, pods: PodWatch
) -> None:
    before = platform.repository.tip
    ended = run(**platform.params(dataset=DATASET))
    assert ended.state == "success", ended.text[-5000:]
    assert platform.repository.tip == ended.pull("promote")["commit"] != before
    assert (platform.repository.pin()["version"], platform.alias()) == (1, "1")
    header = base64.b64encode(f"robot:{TOKEN}".encode()).decode()
    assert set(remote.server.authorizations) == {f"Basic {header}"}

    left = traces(platform, ended, pods)
    assert places(platform.model, left) >= EVERYWHERE  # nothing was searched in vain
    assert places(DATASET, left) >= EVERYWHERE - {"XCom", "git"}
    assert f"Dag-Run: digits/{ended.run_id}" in left["git"]
    seen = pods.seen.values()
    for step in ("prepare", "train", "evaluate"):
        fields = rendered_fields(ended)[step]["fields"]
        assert f"--dataset={DATASET}" in fields["arguments"]
        assert ended.pull("open_run")["run_id"] in json.dumps(fields["env_vars"])
        assert any(step in pod["spec"]["containers"][0]["command"] for pod in seen)
    assert {"open_run.return_value", "gate.decision", "promote.return_value"} <= set(xcoms(ended))

    assert places(TOKEN, left) == set()


def test_token_that_is_refused_is_named_by_its_connection_alone(
    platform: Platform, run: Run, remote: Remote, pods: PodWatch
) -> None:
    remote.connect(token=EXPIRED)
    ended = run(**platform.params())
    assert (ended.tasks["open_run"], ended.tries["open_run"]) == ("failed", 1)
    assert "Renew them in the Airflow connection" in one_line(ended.text)
    assert places(EXPIRED, traces(platform, ended, pods)) == set()


@pytest.mark.extended
def test_token_that_expires_before_the_push_is_in_no_error(
    platform: Platform, run: Run, remote: Remote, pods: PodWatch
) -> None:
    def expire() -> None:
        if "git-receive-pack" in remote.server.requests[-1]:
            remote.server.token = "another"

    remote.server.on_request = expire
    before = platform.repository.tip
    ended = run(**platform.params())
    assert (ended.tasks["register"], ended.tasks["promote"], ended.tries["promote"]) == ("success", "failed", 1)
    said = one_line(ended.text)
    assert f"Could not push to http://{remote.server.origin}/release.git: the remote does not accept" in said
    assert "Renew them in the Airflow connection" in said
    assert platform.repository.tip == before

    left = traces(platform, ended, pods)
    assert places(platform.model, left) >= EVERYWHERE
    assert places(TOKEN, left) == set()


@pytest.mark.extended
def test_tokens_of_a_merge_request_are_in_nothing_that_it_leaves(
    platform: Platform, run: Run, service: HostingService, pods: PodWatch
) -> None:
    def review() -> None:
        until("a merge request", lambda: service.entries, seconds=120)
        service.merge(1)

    person = threading.Thread(target=review)
    person.start()
    ended = run(**platform.params())
    person.join()
    assert ended.state == "success", ended.text[-5000:]
    assert (ended.pull("promote")["outcome"], platform.alias()) == ("requested", "1")

    left = {**traces(platform, ended, pods), "request": repr(service.entries)}
    assert places(platform.model, left) >= {*EVERYWHERE, "request"}
    assert places(TOKEN, left) | places(API_TOKEN, left) == set()


@pytest.mark.extended
def test_api_token_that_is_refused_is_in_no_error(
    platform: Platform, run: Run, service: HostingService, pods: PodWatch
) -> None:
    service.token = "another"
    ended = run(**platform.params())
    assert (ended.tasks["register"], ended.tasks["promote"], ended.tries["promote"]) == ("success", "failed", 1)
    assert "Give the token of the git connection the right to open merge requests." in one_line(ended.text)
    left = traces(platform, ended, pods)
    assert places(TOKEN, left) | places(API_TOKEN, left) == set()
