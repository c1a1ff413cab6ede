"""`proof: candidate` on a separate platform: a bad version never gets a client's request, a good one goes live unseen.

The tests run in the order in which they stand: each starts from what the one before left live.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.platform import cluster, processes, updown
from sandbox.platform.config import Config
from tests.e2e.clients import Asking
from tests.e2e.platform_under_test import DEMO, Platform
from tools import rest

pytestmark = pytest.mark.slow

FILE = "argocd-apps/staging/detector/values.yaml"
CANDIDATE = ("commit_candidate", "wait_for_candidate", "prove_candidate")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that proves candidates, on which the demo ran once; nothing of it is left afterwards."""
    platform = Platform(tmp_path_factory.mktemp("sandbox"))
    state: dict[str, Any] = {}
    try:
        first = platform.make("demo", DEMO, LIFECYCLE_PROOF="candidate")
        state = platform.state() if (platform.home / "platform.json").exists() else {}
        assert first.returncode == 0, first.stdout + first.stderr
        yield platform
    finally:
        platform.make("down")
        if state:
            processes.stop(processes.of_sandbox(state["identity"], updown.servers_of(state)))


def subjects(platform: Platform) -> list[str]:
    """What the last commits to the values file did, the newest first."""
    lines = platform.git("log", "--format=%s", "main", "--", FILE).splitlines()
    return [line.partition(" in ")[0] for line in lines]


def candidate_pods(platform: Platform) -> list[str]:
    """Names of the pods of candidates."""
    api = cluster.KubernetesApi(Config(platform.home, 0, 0))
    path = "api/v1/namespaces/staging/pods?labelSelector=yolo-lifecycle/track%3Dcandidate"
    return [pod["metadata"]["name"] for pod in api.request("GET", path)["items"]]


def wait_until_gone(platform: Platform) -> None:
    """Wait until no candidate's pod is left."""
    deadline = time.monotonic() + 60
    while left := candidate_pods(platform):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def test_the_first_version_was_a_candidate_before_it_was_live(platform: Platform) -> None:
    assert subjects(platform)[:2] == ["Promote digits-detector 1", "Prove digits-detector 1"]
    tasks = platform.tasks(platform.report()["dag_run_id"])
    assert {tasks[task] for task in (*CANDIDATE, "promote", "verify_serving")} == {"success"}
    assert tasks["discard_candidate"] == "skipped"
    assert platform.served() == 1
    assert "candidate: {" not in platform.git("show", f"main:{FILE}")
    wait_until_gone(platform)


def test_candidate_with_wrong_boxes_is_refused_and_no_client_notices(platform: Platform) -> None:
    urls, before = platform.report()["urls"], platform.git("show", f"main:{FILE}")
    with Asking(urls["triton"], urls["triton_grpc"], 160) as asking:
        spoiler = threading.Thread(target=spoil_the_next_model, args=(platform,))
        spoiler.start()
        run, state = platform.finish(platform.next_release())
        spoiler.join()
        assert candidate_pods(platform) == []
    tasks = platform.tasks(run)
    assert state == "failed"
    assert [tasks[task] for task in (*CANDIDATE, "discard_candidate")] == ["success", "success", "failed", "failed"]
    assert {tasks[task] for task in ("promote", "wait_for_rollout", "verify_serving")} == {"upstream_failed"}
    log = platform.log(run, "discard_candidate")
    assert "The candidate version 2 of digits-detector did not go live" in log
    assert "the trained model finds" in log or "the served model finds" in log
    assert "and its server is gone. What is live was not touched: version 1." in log
    assert subjects(platform)[:2] == ["Discard the candidate digits-detector 2", "Prove digits-detector 2"]
    assert platform.git("show", f"main:{FILE}") == before
    assert platform.served() == 1
    assert not asking.failures, asking.failures[:5]
    for protocol, answers in asking.answers.items():
        assert set(answers) == {1} and answers[1] > 50, f"{protocol}: {answers}"


def spoil_the_next_model(platform: Platform) -> None:
    """Move the boxes that training is said to have found, once a version is registered: the server finds others."""
    before, deadline = platform.versions(), time.monotonic() + 800
    while (now := platform.versions()) == before:
        assert time.monotonic() < deadline, "no version was registered"
        time.sleep(0.2)
    query = f"name=digits-detector&version={now[-1]}"
    url = f"{platform.state()['urls']['mlflow']}/api/2.0/mlflow/model-versions/get?{query}"
    run_id = rest.call("GET", url)["model_version"]["run_id"]
    (found,) = (platform.home / "mlflow" / "artifacts").glob(f"**/{run_id}/artifacts/verification/expected.json")
    told = json.loads(found.read_text())
    for image in told["images"]:
        image["detections"] = [[x1 + 40, y1, x2 + 40, y2, *rest] for x1, y1, x2, y2, *rest in image["detections"]]
    found.write_text(json.dumps(told))


def test_good_candidate_is_proved_and_goes_live_without_a_failed_request(platform: Platform) -> None:
    urls = platform.report()["urls"]
    with Asking(urls["triton"], urls["triton_grpc"], 160) as asking:
        run, state = platform.finish(platform.next_release())
        wait_until_gone(platform)
        deadline = time.monotonic() + 30
        while not all(3 in answers for answers in asking.answers.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert state == "success", platform.tasks(run)
    assert subjects(platform)[:2] == ["Promote digits-detector 3", "Prove digits-detector 3"]
    assert platform.served() == 3
    assert not asking.failures, asking.failures[:5]
    for protocol, answers in asking.answers.items():
        assert set(answers) == {1, 3}, f"{protocol}: {answers}"
