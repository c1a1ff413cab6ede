"""Stages after the first, by a pipeline's own DAG: after a soak, a person's approval, a merge request; and refused."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.airflow.dag_runs import Finished, Platform, Run
from tests.integration.airflow.servers import WRONG, one_line
from tests.integration.airflow.test_approval import answer_with
from tests.support.git_http_server import GitHttpServer
from tests.support.hosting_service import HostingService
from tests.support.paths import ROOT
from tests.support.pipelines import write
from tests.support.processes import until
from tests.support.release_repository import FILE, PRODUCTION

STAGES = ("promote", "wait_for_rollout", "verify_serving", "set_alias")
Staged = Callable[..., Finished]

# Further releases, each with two stages: test_promotion.py shows one.
pytestmark = pytest.mark.extended


@pytest.fixture
def staged(platform: Platform, run: Run, tmp_path: Path) -> Staged:
    """Run the demo's pipeline with other settings of its second stage."""

    def ended(meanwhile: Callable[[], None] | None = None, **stage: Any) -> Finished:
        content = yaml.safe_load((ROOT / "dags" / "pipelines" / "digits.yaml").read_text())
        content["stages"][1].update(stage)
        write(tmp_path / "dags", "digits", content)
        thread = threading.Thread(target=meanwhile or (lambda: None))
        thread.start()
        finished = run(folder=tmp_path / "dags", **platform.params())
        thread.join()
        return finished

    return ended


def states(ended: Finished, *tasks: str) -> list[str]:
    return [ended.tasks[f"production.{task}"] for task in tasks]


def pins(platform: Platform) -> tuple[int | None, int | None]:
    return platform.repository.pin(FILE)["version"], platform.repository.pin(PRODUCTION)["version"]


def test_a_version_whose_requests_fail_in_staging_stays_there_and_a_good_one_goes_on(
    platform: Platform, staged: Staged, configure: Callable[..., None]
) -> None:
    configure(SOAK_POLL=0.5, SOAK_MAX_LATENCY_MS=50)
    platform.served.failures = 4
    try:
        ended = staged(by="auto", soak="2s")
    finally:
        platform.served.failures = 0
    assert ended.state == "failed"
    assert states(ended, "soak", "choose_promotion", *STAGES, "restore") == [
        "failed",
        *["upstream_failed"] * 5,
        "skipped",
    ]
    said = one_line(ended.text)
    assert "does not go on: in staging, 40.00% of the requests failed" in said and "at most 5.00% may fail" in said
    assert (pins(platform), platform.alias("staging"), platform.alias("champion")) == ((1, None), "1", None)

    ended = staged(by="auto", soak="2s")
    assert ended.state == "success", ended.text[-5000:]
    assert ended.pull("production.soak").startswith("0.00% of the requests failed, 5.0 ms (Triton's statistics of 10")
    assert (pins(platform), platform.alias("production"), platform.alias("champion")) == ((2, 2), "2", "2")
    assert platform.repository.message().splitlines()[0] == "promote production/detector/digits 2 from staging"
    assert f"Dag-Run: digits/{ended.run_id}" in platform.repository.message().splitlines()


def test_a_candidate_is_proved_in_production_too(platform: Platform, staged: Staged) -> None:
    candidate = platform.servers.production_candidate
    right, candidate.detection = candidate.detection, WRONG
    try:
        ended = staged(by="auto", proof="candidate")
    finally:
        candidate.detection = right
    assert ended.state == "failed"
    assert states(ended, "wait_for_candidate", "prove_candidate", "promote", "discard_candidate") == [
        *("success", "failed", "upstream_failed", "failed")
    ]
    assert "candidate" not in platform.repository.pin(PRODUCTION)
    assert (pins(platform), platform.production.version) == ((1, None), None)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")


@pytest.mark.usefixtures("person")
def test_a_person_sees_both_versions_and_approves(platform: Platform, staged: Staged) -> None:
    seen: dict[str, Any] = {}

    def look(client: Any) -> None:
        (link,) = re.findall(r"\]\((lifecycle/picture\S+)\)", seen["body"])
        seen["picture"] = client.get(f"/{link}")
        seen["stranger"] = client.get(f"/{link}", headers={"Authorization": ""})
        seen["other"] = client.get("/lifecycle/picture?run_id=../../etc")

    answer = answer_with("Approve", seen, task="production.approve", first=look)
    ended = staged(by="approval")
    answer.join()
    assert ended.state == "success", ended.text[-5000:]
    assert pins(platform) == (1, 1)
    body = seen["body"]
    assert "| | from staging: version 1 | live in production: nothing is live |" in body
    assert "| mAP50 | 0.9000 | – |" in body
    assert f"![version 1](lifecycle/picture?run_id={ended.pull('open_run')['run_id']})" in body
    assert "would go on to **production/detector**" in body
    picture = seen["picture"]
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png"), picture.text
    assert picture.content.startswith(b"\x89PNG")
    assert (seen["stranger"].status_code, seen["other"].status_code) == (401, 422)


@pytest.mark.usefixtures("person")
def test_what_staging_lost_while_the_person_thought_about_it_is_not_promoted(
    platform: Platform, staged: Staged
) -> None:
    def roll_back(client: Any) -> None:
        text = platform.repository.text()
        platform.repository.write(text.replace("version: 1", "version: 7"))

    answer = answer_with("Approve", {}, task="production.approve", first=roll_back)
    ended = staged(by="approval")
    answer.join()
    assert (ended.state, states(ended, "approve", "promote")) == ("success", ["success", "skipped"])
    reason = ended.pull("production.promote", "reason")
    assert reason.endswith("Nothing was committed.") and "does not answer in staging" in reason
    assert pins(platform) == (7, None)


def test_a_merge_request_brings_a_version_on(
    platform: Platform, staged: Staged, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staging is pushed to; production's commit waits for its merge."""
    bare, token = platform.repository.bare, "host-token"
    connection = {"conn_type": "git", "login": "robot", "password": token}
    monkeypatch.setenv("AIRFLOW_CONN_RELEASE", json.dumps(connection))
    with HostingService("gitea", "release", bare, token) as host, GitHttpServer(bare.parent, token=token) as server:
        configure(
            GITOPS_URL=f"http://{server.origin}/release.git",
            GITOPS_API_URL=host.url,
            GITOPS_CONN_ID="release",
            MERGE_POLL=1,
        )

        def merge() -> None:
            until("a merge request", lambda: host.entries, seconds=120)
            assert pins(platform) == (1, None)
            host.merge(1)

        ended = staged(merge, by="request", delivery="gitea")
    assert ended.state == "success", ended.text[-5000:]
    assert (ended.pull("promote")["outcome"], ended.pull("production.promote")["outcome"]) == ("pushed", "requested")
    assert host.entries[0].title == "promote production/detector/digits 1 from staging"
    assert (pins(platform), platform.production.version, platform.alias("champion")) == ((1, 1), 1, "1")
