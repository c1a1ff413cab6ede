"""A second detector on the platform: candidates that no client reaches, a soak, a person's approval, production.

The tests run in the order in which they stand: each starts from what the one before left live.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import Browser, program
from tests.e2e.clients import Asking
from tests.e2e.letters import DAG, MODEL, VALUES, push
from tests.e2e.platform_under_test import Platform
from tools import rest

pytestmark = [pytest.mark.slow, pytest.mark.extended, pytest.mark.xdist_group("letters")]

CANDIDATE = ("commit_candidate", "wait_for_candidate", "prove_candidate")


@dataclass(frozen=True)
class Letters:
    """The second detector, whose first run waits for a person: before production, and with a version in staging."""

    platform: Platform
    run: str
    question: dict[str, Any]

    @property
    def urls(self) -> dict[str, str]:
        """`url` and `grpc_url` in staging."""
        served: dict[str, str] = self.platform.airflow(DAG).xcom(self.run, "verify_serving")
        return served


@pytest.fixture(scope="module", autouse=True)
def letters(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letters]:
    """Push the detector's entries, and trigger its first run."""
    try:
        push(platform, tmp_path_factory.mktemp("clone"))
        run = platform.airflow(DAG).trigger(platform.next_release())
        yield Letters(platform, run, wait_for_question(platform, run))
    finally:
        platform.ended_file("test_second_detector").touch()


def wait_for_question(platform: Platform, run: str) -> dict[str, Any]:
    """The question to a person, once the run has come to it."""
    deadline = time.monotonic() + 400
    while platform.tasks(run, DAG).get("production.approve") != "awaiting_input":
        tasks = platform.tasks(run, DAG)
        assert "failed" not in tasks.values() and time.monotonic() < deadline, tasks
        time.sleep(1)
    # No person answers within a second. Where one does, Airflow takes the task, whose worker is still ending, for lost,
    # and asks again.
    time.sleep(5)
    question: dict[str, Any] = form(platform, run, "GET")
    return question


def form(platform: Platform, run: str, method: str, sent: dict[str, Any] | None = None) -> Any:
    """What Airflow's page asks for its form, or sends from it."""
    url = platform.state()["urls"]["airflow"]
    token = rest.call("GET", f"{url}/auth/token")["access_token"]
    path = f"dags/{DAG}/dagRuns/{urllib.parse.quote(run)}/taskInstances/production.approve/-1/hitlDetails"
    return rest.call(method, f"{url}/api/v2/{path}", sent, token)


def answer(platform: Platform, run: str, option: str) -> None:
    """A person's answer, as the page sends it."""
    form(platform, run, "PATCH", {"chosen_options": [option], "params_input": {}})


def ended_with(platform: Platform, run: str, option: str) -> str:
    """The state in which a run ends after a person's answer.

    Airflow asks again where it took the asking task, whose worker was still ending, for lost: the answer is the same.
    """
    deadline = time.monotonic() + 400
    while (state := platform.airflow(DAG).state(run)) not in ("success", "failed"):
        assert time.monotonic() < deadline, platform.tasks(run, DAG)
        asked = platform.tasks(run, DAG)["production.approve"] == "awaiting_input"
        if asked and not form(platform, run, "GET")["response_received"]:
            answer(platform, run, option)
        time.sleep(1)
    return str(state)


def approve_in_browser(platform: Platform, run: str, chromium: str, profile: Path) -> None:
    """Read the question on Airflow's page and press its button; what was seen is kept beside the platform's state."""
    address = f"{platform.state()['urls']['airflow']}/dags/{DAG}/runs/{urllib.parse.quote(run)}"
    with Browser(chromium, profile) as browser:
        text = browser.open(f"{address}/tasks/production.approve/required_actions", "Approve")
        browser.wait_for_image("version 3")
        (platform.home / "approval.png").write_bytes(browser.picture())
        assert "from staging: version 3" in text and "live in production: nothing is live" in text, text
        browser.press("Approve")
        deadline = time.monotonic() + 60
        while (
            platform.tasks(run, DAG)["production.approve"] == "awaiting_input"
            and not form(platform, run, "GET")["response_received"]
        ):
            assert time.monotonic() < deadline, "Airflow has not got the answer"
            time.sleep(0.5)


def subjects(platform: Platform) -> list[str]:
    """What the last commits to staging's values file did, the newest first."""
    lines = platform.git("log", "--format=%s", "main", "--", VALUES[0]).splitlines()
    return [line.partition(" in ")[0] for line in lines]


def candidate_pods(platform: Platform) -> list[str]:
    """Names of the pods of candidates."""
    path = "api/v1/namespaces/staging/pods?labelSelector=yolo-lifecycle/track%3Dcandidate"
    return [pod["metadata"]["name"] for pod in platform.api().request("GET", path)["items"]]


def wait_until_gone(platform: Platform) -> None:
    """Wait until no candidate's pod is left."""
    deadline = time.monotonic() + 60
    while left := candidate_pods(platform):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def test_the_first_version_was_a_candidate_before_it_was_live(platform: Platform, letters: Letters) -> None:
    assert subjects(platform)[:2] == [f"Promote {MODEL} 1", f"Prove {MODEL} 1"]
    tasks = platform.tasks(letters.run, DAG)
    assert {tasks[task] for task in (*CANDIDATE, "promote", "verify_serving")} == {"success"}
    assert tasks["discard_candidate"] == "skipped"
    assert platform.served(letters.urls["url"], DAG) == 1
    assert "candidate: {" not in platform.git("show", f"main:{VALUES[0]}")
    wait_until_gone(platform)


def test_a_persons_no_leaves_production_as_it_is(platform: Platform, letters: Letters) -> None:
    staging, production = (platform.git("show", f"main:{file}") for file in VALUES)
    assert "version: 1" in staging and "version: null" in production
    answer(platform, letters.run, "Reject")
    assert ended_with(platform, letters.run, "Reject") == "success", platform.tasks(letters.run, DAG)
    assert [platform.git("show", f"main:{file}") for file in VALUES] == [staging, production]
    assert platform.aliases(MODEL) == ("1", None, None)


def test_candidate_with_wrong_boxes_is_refused_and_no_client_notices(platform: Platform, letters: Letters) -> None:
    urls, before = letters.urls, platform.git("show", f"main:{VALUES[0]}")
    with Asking(urls["url"], urls["grpc_url"], 160, DAG) as asking:
        spoiler = threading.Thread(target=spoil_the_next_model, args=(platform,))
        spoiler.start()
        run, state = platform.finish(platform.next_release(), DAG)
        spoiler.join()
        assert candidate_pods(platform) == []
    tasks = platform.tasks(run, DAG)
    assert state == "failed"
    assert [tasks[task] for task in (*CANDIDATE, "discard_candidate")] == ["success", "success", "failed", "failed"]
    assert {tasks[task] for task in ("promote", "wait_for_rollout", "verify_serving")} == {"upstream_failed"}
    log = platform.log(run, "discard_candidate", DAG)
    assert f"The candidate version 2 of {MODEL} did not go live" in log
    assert "the trained model finds" in log or "the served model finds" in log
    assert "and its server is gone. What is live was not touched: version 1." in log
    assert subjects(platform)[:2] == [f"Discard the candidate {MODEL} 2", f"Prove {MODEL} 2"]
    assert platform.git("show", f"main:{VALUES[0]}") == before
    assert platform.served(urls["url"], DAG) == 1
    assert not asking.failures, asking.failures[:5]
    for protocol, answers in asking.answers.items():
        assert set(answers) == {1} and answers[1] > 50, f"{protocol}: {answers}"


def spoil_the_next_model(platform: Platform) -> None:
    """Move the boxes that training is said to have found, once a version is registered: the server finds others."""
    run_id = platform.next_version(MODEL)["run_id"]
    (found,) = (platform.home / "mlflow" / "artifacts").glob(f"**/{run_id}/artifacts/verification/expected.json")
    told = json.loads(found.read_text())
    for image in told["images"]:
        image["detections"] = [[x1 + 40, y1, x2 + 40, y2, *rest] for x1, y1, x2, y2, *rest in image["detections"]]
    found.write_text(json.dumps(told))


@pytest.fixture(scope="module")
def good(platform: Platform, letters: Letters) -> tuple[str, Asking, dict[str, Any]]:
    """The run of a good version while clients ask in staging, up to the question to a person."""
    with Asking(letters.urls["url"], letters.urls["grpc_url"], 160, DAG) as asking:
        run = platform.airflow(DAG).trigger(platform.next_release())
        question = wait_for_question(platform, run)
        wait_until_gone(platform)
        deadline = time.monotonic() + 30
        while not all(3 in answers for answers in asking.answers.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
    return run, asking, question


def test_good_candidate_is_proved_and_goes_live_without_a_failed_request(
    platform: Platform, letters: Letters, good: tuple[str, Asking, dict[str, Any]]
) -> None:
    run, asking, _ = good
    tasks = platform.tasks(run, DAG)
    assert {tasks[task] for task in (*CANDIDATE, "promote", "verify_serving", "set_alias")} == {"success"}
    assert subjects(platform)[:2] == [f"Promote {MODEL} 3", f"Prove {MODEL} 3"]
    assert platform.served(letters.urls["url"], DAG) == 3
    assert not asking.failures, asking.failures[:5]
    for protocol, answers in asking.answers.items():
        assert set(answers) == {1, 3}, f"{protocol}: {answers}"


def test_it_goes_on_to_production_after_its_soak_and_a_persons_word(
    platform: Platform, good: tuple[str, Asking, dict[str, Any]], tmp_path: Path
) -> None:
    airflow, (run, _, question) = platform.airflow(DAG), good
    staging, production = (platform.git("show", f"main:{file}") for file in VALUES)
    assert "version: 3" in staging and "version: null" in production
    assert platform.aliases(MODEL) == ("3", None, None)
    assert airflow.xcom(run, "production.soak").startswith("0.00% of the requests failed, ")
    assert "| | from staging: version 3 | live in production: nothing is live |" in question["body"]

    if chromium := program():
        approve_in_browser(platform, run, chromium, tmp_path)
    else:
        warnings.warn("Chromium is absent (apt-packages.txt), so the page's request is sent without it.", stacklevel=1)
        answer(platform, run, "Approve")
    assert ended_with(platform, run, "Approve") == "success", platform.tasks(run, DAG)
    staging, production = (platform.git("show", f"main:{file}") for file in VALUES)
    assert staging == production
    message = platform.git("show", "-s", "--format=%B", platform.tip("argocd-apps/*/letters/values.yaml")).splitlines()
    assert message[0] == "promote production/letters/letters 3 from staging"
    assert f"Dag-Run: {DAG}/{run}" in message
    assert "production.commit_candidate" not in platform.tasks(run, DAG), "only staging has proof: candidate"
    urls = [airflow.xcom(run, f"{group}verify_serving")["url"] for group in ("", "production.")]
    assert urls[0] != urls[1]
    assert [platform.served(url, DAG) for url in urls] == [3, 3]
    assert platform.aliases(MODEL) == ("3", "3", "3")


def test_the_demos_detector_was_left_alone(platform: Platform, letters: Letters) -> None:
    commits = platform.git("log", "--format=%H", "main", "--", *VALUES).splitlines()
    touched = platform.git("show", "--format=", "--name-only", *commits).splitlines()
    assert len(commits) > 5 and set(touched) == set(VALUES)
    shown = [line.split() for line in platform.make("status").stdout.splitlines() if "/letters/letters" in line]
    assert [row[:5] for row in shown] == [
        ["production/letters/letters", "3", "3", "Synced,", "Healthy"],
        ["staging/letters/letters", "3", "3", "Synced,", "Healthy"],
    ]
