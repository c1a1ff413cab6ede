"""The demo on a cluster: what it asks Airflow, what a person sees, and when it is a failure."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster import airflow, demo
from cluster.errors import ClusterError, SettingsError
from cluster.kubectl import Kubectl
from cluster.settings import ROOT, Settings
from tests.unit.cluster.front import received, send
from tools import dagrun
from tools.rest import Airflow, RestError

RUN = "manual__2026-11-20T10:00:00+00:00"
QUOTED = "manual__2026-11-20T10%3A00%3A00%2B00%3A00"
SERVED = {
    "version": 3,
    "sha256": "5f2d",
    "run_id": "8c1f",
    "url": "http://10.0.0.9:8000",
    "grpc_url": "10.0.0.9:8001",
    "images": 8,
    "matched": 8,
}


class Played:
    """An Airflow that has one run, whose tasks end as the test says; it speaks as Airflow 3.3 was seen to."""

    def __init__(self, rejected: str = "", unchanged: str = "", **states: str) -> None:
        self.states = states
        self.cut = 0  # how many questions for the run's state are cut off
        self.pools = {"default_pool": 128}
        self.unchanged = unchanged
        self.rejected = rejected
        self.triggered: list[Any] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def _serve(self) -> None:
                status, body = played.answer(self.command, self.path, self.headers.get("Authorization"), received(self))
                if not status:
                    self.close_connection = True
                    return
                send(self, status, json.dumps(body).encode())

            do_GET = do_POST = do_PATCH = _serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, method: str, path: str, token: str | None, body: bytes) -> tuple[int, Any]:
        """Status and body."""
        run = f"/api/v2/dags/digits/dagRuns/{QUOTED}"
        if path == "/auth/token":
            given = json.loads(body)
            return (
                (201, {"access_token": "t"})
                if given["password"] == "right"
                else (401, {"detail": "Invalid credentials"})
            )
        if token != "Bearer t":
            return 401, {"detail": "Not authenticated"}
        if (method, path) == ("POST", "/api/v2/dags/digits/dagRuns"):
            self.triggered.append(json.loads(body))
            return 200, {"dag_run_id": RUN}
        if path == run and self.cut:
            self.cut -= 1
            return 0, {}
        if (method, path) == ("GET", "/api/v2/pools?limit=1000"):
            return 200, {"pools": [{"name": name} for name in self.pools]}
        if (method, path) == ("POST", "/api/v2/pools"):
            self.pools[json.loads(body)["name"]] = json.loads(body)["slots"]
            return 201, {}
        if path == run:
            return 200, {"state": "failed" if "failed" in self.states.values() else "success"}
        if path == f"{run}/taskInstances?limit=100":
            return 200, {"task_instances": [self._task(*pair) for pair in self.states.items()]}
        if path.startswith(f"{run}/taskInstances/") and path.endswith("/logs/1?full_content=true"):
            lines = ["::group::Log message source details", "::endgroup::", "epoch 1", "ERROR: no GPU", "Pod deleted"]
            return 200, {"content": [{"event": line} for line in lines]}
        if path.endswith("/gate/xcomEntries/decision") and self.rejected:
            return 200, {"value": {"passed": False, "reason": self.rejected, "table": "| mAP50 |"}}
        if path.endswith("/find_changes/xcomEntries/reason") and self.unchanged:
            return 200, {"value": self.unchanged}
        if path.endswith("/verify_serving/xcomEntries/return_value"):
            return 200, {"value": json.dumps(SERVED)}
        if path.endswith("/promote/xcomEntries/return_value"):
            return 200, {"value": {"commit": "abc123", "diff": "-    version: 2\n+    version: 3"}}
        return (200, {}) if method == "PATCH" else (404, {"detail": path})

    @staticmethod
    def _task(name: str, state: str) -> dict[str, Any]:
        started = None if state == "upstream_failed" else "2026-11-20T10:00:01Z"
        return {"task_id": name, "state": state, "start_date": started, "duration": 2.5, "try_number": 1}


@pytest.fixture
def airflows() -> Iterator[list[Played]]:
    """The Airflows of a test; each is stopped at its end."""
    found: list[Played] = []
    yield found
    for each in found:
        each.server.shutdown()
        each.server.server_close()


def watched(played: Played) -> tuple[Airflow, list[dict[str, Any]], list[str]]:
    """The client, the tasks at the run's end, and what was said until then."""
    client, said = Airflow(played.url, dagrun.DAG, ("admin", "right")), list[str]()
    return client, dagrun.follow(client, RUN, dagrun.Progress(said.append), interval=0.0), said


def test_a_release_is_followed_to_what_is_served(airflows: list[Played]) -> None:
    played = Played(train="success", promote="success", verify_serving="success", set_alias="success")
    airflows.append(played)
    client, tasks, said = watched(played)
    assert client.trigger({"environment": "staging"}) == RUN
    assert played.triggered == [{"logical_date": None, "conf": {"environment": "staging"}}]
    assert any("train" in line and "success" in line and "2.5 s" in line for line in said)
    assert dagrun.ending(client, RUN, tasks).code == 0
    text = "\n".join(demo.report(client, RUN))
    assert "+    version: 3" in text
    assert "version 3, sha256 5f2d, MLflow run 8c1f" in text
    assert "8 of 8" in text


def test_a_later_stage_that_fails_is_told_and_the_first_ones_success_too(airflows: list[Played]) -> None:
    played = Played(train="success", set_alias="success", **{"production.verify_serving": "failed"})
    airflows.append(played)
    client, tasks, _ = watched(played)
    ended = dagrun.ending(client, RUN, tasks)
    assert ended.code == 1
    assert ended.said == "production.verify_serving failed: no GPU\nThe new version is live in the first stage only."


def test_a_failure_shows_the_trainers_own_paragraph(airflows: list[Played]) -> None:
    played = Played(train="failed", promote="upstream_failed")
    airflows.append(played)
    client, tasks, _ = watched(played)
    ended = dagrun.ending(client, RUN, tasks)
    assert ended.code == 1
    assert ended.said == f"train failed: no GPU\n{dagrun.STAYS}"


def test_a_rejection_is_the_gates_sentence_and_not_the_skipped_tasks(airflows: list[Played]) -> None:
    skipped = dict.fromkeys(("register", "promote", "wait_for_rollout", "verify_serving", "set_alias"), "skipped")
    played = Played(rejected="mAP50 0.31 is below the least, 0.85", train="success", gate="success", **skipped)
    airflows.append(played)
    client, tasks, _ = watched(played)
    ended = dagrun.ending(client, RUN, tasks)
    assert ended.code == 3
    assert ended.said.splitlines()[0] == "gate rejected the candidate: mAP50 0.31 is below the least, 0.85."
    assert "register" not in ended.said and "::group::" not in ended.said


def test_nothing_to_train_is_the_sentence_of_the_task_that_found_it(airflows: list[Played]) -> None:
    said = "Nothing to train: all is as in the live version 2."
    played = Played(unchanged=said, prepare="success", find_changes="skipped", train="upstream_failed")
    airflows.append(played)
    client, tasks, _ = watched(played)
    assert dagrun.ending(client, RUN, tasks) == dagrun.Ending(3, f"find_changes stopped: {said}")


class Forwarding(Kubectl):
    """A kubectl whose port-forwards lead to a played Airflow, and which knows one Secret."""

    def __init__(self, url: str, gpus: str = "0") -> None:
        super().__init__()
        self.url, self.gpus, self.opened = url, gpus, 0

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        return {"username": "admin", "password": "right"}

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        return [{"status": {"allocatable": {"nvidia.com/gpu": self.gpus}}}] * 2

    @contextmanager
    def forward(self, namespace: str, service: str, port: int) -> Iterator[str]:
        self.opened += 1
        yield self.url


def test_a_connection_that_breaks_is_made_again_and_the_run_followed_on(
    settings: Settings, airflows: list[Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PAUSE", 0.0)
    played = Played(train="success", promote="success", verify_serving="success", set_alias="success")
    airflows.append(played)
    played.cut = 2
    kubectl, said = Forwarding(played.url), list[str]()
    assert demo.demo(settings, kubectl, said.append).code == 0
    assert (len(played.triggered), kubectl.opened) == (1, 3), "one run, three connections"
    assert sum(f"the run {RUN} continues, connecting again" in line for line in said) == 2
    monkeypatch.setattr(demo, "TRIES", 2)
    played.cut = 100
    with pytest.raises(ClusterError, match=rf"The run {re.escape(RUN)} of digits continues in the cluster"):
        demo.demo(settings, kubectl, said.append)


def test_airflow_gets_the_pools_that_pipelines_name(settings: Settings, airflows: list[Played], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("resources:\n  gpus: 4\n  pool: a100  # four at once\n")
    (tmp_path / "b.yaml").write_text("resources:\n  pool: default_pool\n")
    wanted = airflow.named_pools(settings, tmp_path)
    assert wanted == {"a100": 4, "default_pool": 1}
    played = Played()
    airflows.append(played)
    assert airflow.make_pools(Forwarding(played.url, gpus="8"), wanted) == ["a100"]
    assert played.pools == {"default_pool": 128, "a100": 16}
    assert airflow.make_pools(Forwarding(played.url), wanted) == [], "what is there is left as it is"
    assert airflow.named_pools(settings, ROOT / "dags" / "pipelines") == {}


def test_a_wrong_password_is_told(airflows: list[Played]) -> None:
    played = Played()
    airflows.append(played)
    with pytest.raises(RestError, match=r"401.*Invalid credentials"):
        Airflow(played.url, dagrun.DAG, ("admin", "wrong"))


def test_no_airflow_is_told_with_where_to_look() -> None:
    with pytest.raises(RestError, match="no answer"):
        Airflow("http://127.0.0.1:1", dagrun.DAG, ("admin", "right"))


def test_parameters_come_from_the_settings_and_from_demo_params(settings: Settings) -> None:
    assert demo.parameters(settings, {}) == {"environment": "staging"}
    given = demo.parameters(settings, {"DEMO_PARAMS": '{"environment": "production", "epochs": 4}'})
    assert given == {"environment": "production", "epochs": 4}
    for text in ("{", "[1]"):
        with pytest.raises(SettingsError, match="DEMO_PARAMS"):
            demo.parameters(settings, {"DEMO_PARAMS": text})
