"""Delivery by merge request at each of the three services (see hosting_service.py for what stands in for them)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lifecycle.gitops import (
    AuthenticationFailed,
    CredentialsInvalid,
    DeliveryTimeout,
    GitCredentials,
    GitOps,
    GitOpsSettings,
    RequestRefused,
)

from tests.integration.gitops.support import Remote, bump, git, pin
from tests.support.git_http_server import GitHttpServer
from tests.support.hosting_service import HostingService

TOKEN = "host-token"


@dataclass
class Hosted:
    """A repository at a hosting service, and the handoff set up for it."""

    remote: Remote
    service: HostingService
    git_server: GitHttpServer

    def gitops(self, token: str = TOKEN, **settings: object) -> GitOps:
        defaults: dict[str, object] = {
            "url": f"http://{self.git_server.origin}/gitops.git",
            "delivery": self.service.kind,
            "api_url": self.service.url,
            "time_limit": 20.0,
            "backoff_base": 0.02,
        }
        return GitOps(
            GitOpsSettings(**defaults | settings),  # type: ignore[arg-type]
            GitCredentials(username="robot", token=TOKEN, api_token=token),
        )

    def branches(self) -> list[str]:
        return git(self.remote.path, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


@pytest.fixture(params=["github", "gitlab", "gitea"])
def hosted(request: pytest.FixtureRequest, remote: Remote) -> Iterator[Hosted]:
    with (
        HostingService(request.param, "gitops", remote.path, TOKEN) as service,
        GitHttpServer(remote.path.parent, token=TOKEN) as server,
    ):
        yield Hosted(remote, service, server)


def test_a_request_keeps_the_code_that_was_the_newest_when_it_was_opened(hosted: Hosted) -> None:
    code = "model_repository/yolo/1/model.py"
    first = hosted.remote.write("# first", code)
    asked = hosted.gitops().deliver(bump(1, run="r1", newest_code=True))
    hosted.remote.write("# second", code)
    again = hosted.gitops().deliver(bump(1, run="r1", newest_code=True))
    assert (asked.outcome, asked.pin.code_commit) == (again.outcome, again.pin.code_commit) == ("requested", first)
    assert again.request_url == asked.request_url and len(hosted.service.entries) == 1


def test_a_request_is_opened_and_its_merge_is_seen(hosted: Hosted) -> None:
    gitops, head = hosted.gitops(), hosted.remote.head()
    asked = gitops.deliver(bump(1, run="r1"))

    assert asked.outcome == "requested" and asked.former == pin(None) and "+    version: 1" in asked.diff
    assert hosted.remote.head() == head
    entry = hosted.service.entries[0]
    assert asked.commit == entry.head == hosted.remote.head(entry.branch) and entry.base == "main"
    assert entry.title.startswith("Promote m0-detector 1") and "Dag-Run: digits/r1" in entry.body
    assert asked.request_url is not None
    state = gitops.request_state(asked.request_url)
    assert (state.state, state.merge_commit, state.url) == ("open", None, asked.request_url)

    hosted.service.merge(1)

    state = gitops.request_state(asked.request_url)
    assert (state.state, state.merge_commit) == ("merged", hosted.remote.head())
    again = gitops.deliver(bump(1, run="r1"))
    assert (again.outcome, again.commit, again.former) == ("already_there", state.merge_commit, pin(None))


def test_a_retry_finds_its_request(hosted: Hosted) -> None:
    first = hosted.gitops().deliver(bump(1, run="r1"))
    hosted.remote.write("unrelated", file="other.txt")
    assert hosted.gitops().deliver(bump(1, run="r1")).request_url == first.request_url
    assert hosted.service.opened == 1 and len(hosted.branches()) == 2


def test_a_retry_uses_the_branch_of_a_killed_attempt(hosted: Hosted) -> None:
    """Killed after the push of the branch and before the request."""
    hosted.service.fail_next = [422, 422]
    with pytest.raises(RequestRefused):
        hosted.gitops().deliver(bump(1, run="r1"))
    hosted.service.fail_next = [404 if hosted.service.kind == "gitea" else 500, 422]
    with pytest.raises(RequestRefused, match="422"):
        hosted.gitops().deliver(bump(1, run="r1"))
    done = hosted.gitops().deliver(bump(1, run="r1"))
    assert done.outcome == "requested" and len(hosted.branches()) == 2 and hosted.service.opened == 1


def test_a_request_whose_answer_is_lost_is_opened_once(hosted: Hosted) -> None:
    hosted.service.lose_answer = True
    assert hosted.gitops().deliver(bump(1, run="r1")).outcome == "requested"
    assert hosted.service.opened == 1


def test_a_service_that_is_busy_is_asked_again(hosted: Hosted) -> None:
    hosted.service.fail_next = [503, 429]
    assert hosted.gitops().deliver(bump(1, run="r1")).outcome == "requested"
    hosted.service.fail_next = [500] * 1000
    with pytest.raises(DeliveryTimeout, match="500"):
        hosted.gitops(time_limit=5.0).deliver(bump(2, run="r2"))


def test_a_closed_request_is_a_persons_no(hosted: Hosted) -> None:
    asked = hosted.gitops().deliver(bump(1, run="r1"))
    hosted.service.entries[0].state = "closed"
    assert asked.request_url is not None
    assert hosted.gitops().request_state(asked.request_url).state == "closed"
    with pytest.raises(RequestRefused, match="closed without being merged"):
        hosted.gitops().deliver(bump(1, run="r1"))
    assert hosted.gitops().deliver(bump(1, run="r2")).outcome == "requested"


def test_the_guards_come_before_the_request(hosted: Hosted) -> None:
    GitOps(GitOpsSettings(url=hosted.remote.url)).deliver(bump(5, run="r0"))
    assert hosted.gitops().deliver(bump(4, run="r1")).outcome == "superseded"
    assert hosted.gitops().deliver(bump(5, run="r1")).outcome == "already_there"
    assert hosted.branches() == ["main"]


def test_a_wrong_api_token_is_refused_without_showing_it(hosted: Hosted) -> None:
    with pytest.raises(AuthenticationFailed, match="401") as refused:
        hosted.gitops(token="wrong-secret").deliver(bump(1, run="r1"))
    assert "wrong-secret" not in str(refused.value)


def test_the_api_needs_a_token_and_a_project(remote: Remote) -> None:
    with pytest.raises(CredentialsInvalid, match="api_token"):
        GitOps(GitOpsSettings(url="https://github.com/a/b.git", delivery="github")).deliver(bump(1))
    with pytest.raises(RequestRefused, match="no hosting service"):
        GitOps(GitOpsSettings(url=remote.url, delivery="github"), GitCredentials(token="t")).deliver(bump(1))
