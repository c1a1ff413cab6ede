"""Stages on a separate platform: after a soak and a person's approval, a version goes from staging to production.

The tests run in the order in which they stand: each starts from what the one before left live.
"""

from __future__ import annotations

import shutil
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.platform import processes, updown
from tests.e2e.platform_under_test import DEMO, ROOT, Platform
from tools import rest

pytestmark = pytest.mark.slow

VALUES = [f"argocd-apps/{stage}/detector/values.yaml" for stage in ("staging", "production")]


def dags(folder: Path) -> Path:
    """The DAGs, with a second stage that a person lets a version into."""
    shutil.copytree(ROOT / "dags", folder)
    file = folder / "pipelines" / "digits.yaml"
    content = yaml.safe_load(file.read_text())
    content["stages"][1].update(by="approval", soak="5s")
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with that pipeline; nothing of it is left afterwards."""
    platform = Platform(tmp_path_factory.mktemp("sandbox"))
    state: dict[str, Any] = {}
    try:
        folder = dags(tmp_path_factory.mktemp("dags") / "dags")
        started = platform.make("up", AIRFLOW__CORE__DAGS_FOLDER=str(folder), LIFECYCLE_SOAK_POLL="1")
        state = platform.state() if (platform.home / "platform.json").exists() else {}
        assert started.returncode == 0, started.stdout + started.stderr
        yield platform
    finally:
        platform.make("down")
        if state:
            processes.stop(processes.of_sandbox(state["identity"], updown.servers_of(state)))


def wait_for_question(platform: Platform, run: str) -> dict[str, Any]:
    """The question to a person, once the run has come to it."""
    deadline = time.monotonic() + 400
    while platform.tasks(run).get("production.approve") != "awaiting_input":
        tasks = platform.tasks(run)
        assert "failed" not in tasks.values() and time.monotonic() < deadline, tasks
        time.sleep(1)
    question: dict[str, Any] = form(platform, run, "GET")
    return question


def form(platform: Platform, run: str, method: str, sent: dict[str, Any] | None = None) -> Any:
    """What Airflow's page asks for its form, or sends from it."""
    url = platform.state()["urls"]["airflow"]
    token = rest.call("GET", f"{url}/auth/token")["access_token"]
    path = f"dags/digits/dagRuns/{urllib.parse.quote(run)}/taskInstances/production.approve/-1/hitlDetails"
    return rest.call(method, f"{url}/api/v2/{path}", sent, token)


def test_a_version_goes_on_after_its_soak_and_a_persons_word(platform: Platform) -> None:
    airflow, deadline = platform.airflow(), time.monotonic() + 120
    while not airflow.known():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    run = airflow.trigger(DEMO)
    question = wait_for_question(platform, run)
    staging, production = (platform.git("show", f"main:{file}") for file in VALUES)
    assert "version: 1" in staging and "version: null" in production
    assert platform.aliases() == ("1", None, None)
    assert airflow.xcom(run, "production.soak").startswith("0.00% of the requests failed, ")
    assert "| | from staging: version 1 | live in production: nothing is live |" in question["body"]

    form(platform, run, "PATCH", {"chosen_options": ["Approve"], "params_input": {}})
    while (state := airflow.state(run)) not in ("success", "failed"):
        assert time.monotonic() < deadline + 400, platform.tasks(run)
        time.sleep(0.5)
    assert state == "success", platform.tasks(run)
    staging, production = (platform.git("show", f"main:{file}") for file in VALUES)
    assert staging == production
    message = platform.git("show", "-s", "--format=%B", "main").splitlines()
    assert message[0] == "promote production/detector/digits 1 from staging"
    assert f"Dag-Run: digits/{run}" in message
    urls = [airflow.xcom(run, f"{group}verify_serving")["url"] for group in ("", "production.")]
    assert urls[0] != urls[1]
    assert [platform.served(url) for url in urls] == [1, 1]
    assert platform.aliases() == ("1", "1", "1")
