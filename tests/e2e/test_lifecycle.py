"""The demo's detector, the whole way: two releases, bad input, a lost pod, the way back.

The tests run in the order in which they stand: each starts from what the one before left live.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients import Asking
from tests.e2e.platform_under_test import DEMO, DETECTOR, TINY, Platform
from tools import rest

# With test_shutdown.py, which ends the platform, in one worker.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("digits")]
STAGES = ("staging", "production")


def test_first_demo_serves_what_it_registered(platform: Platform) -> None:
    report = platform.report()
    assert report["model_version"] == report["served_version"] == 1
    assert (report["environment"], report["alias"]) == ("staging", "1")
    assert report["map50"] >= DEMO["min_map50"]
    assert Path(report["picture"]).read_bytes().startswith(b"\x89PNG")
    assert len(report["dataset_digest"]) == len(report["sha256"]) == 64
    assert report["commit"] == platform.tip()
    output = (platform.home / "first-demo.txt").read_text()
    assert re.search(r"epoch (\d+)/\1 ", output), "every epoch was shown"
    for url in ("airflow", "mlflow", "triton"):
        assert report["urls"][url] in output


def test_trailers_name_where_the_version_comes_from(platform: Platform) -> None:
    report = platform.report()
    message = platform.git("show", "-s", "--format=%B", report["commit"])
    assert "Model-Version: digits-detector/1" in message
    assert f"MLflow-Run: {report['run_id']}" in message
    assert f"Dataset-Digest: {report['dataset_digest']}" in message
    code = platform.git("log", "-1", "--first-parent", "--format=%H", report["commit"], "--", "model_repository")
    assert f"Code-Commit: {code}" in message
    assert f"Dag-Run: digits/{report['dag_run_id']}" in message


def test_what_many_write_at_once_in_airflow_is_answered_at_once(platform: Platform) -> None:
    url = platform.state()["urls"]["airflow"]
    token = rest.call("GET", f"{url}/auth/token")["access_token"]

    def make_and_delete(name: str) -> None:
        for _ in range(4):
            rest.call("POST", f"{url}/api/v2/pools", {"name": name, "slots": 1}, token)
            rest.call("DELETE", f"{url}/api/v2/pools/{name}", None, token)

    host, port = url.removeprefix("http://").split(":")
    head = f"POST /api/v2/pools HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 50\r\n\r\n"
    with socket.create_connection((host, int(port))) as one_that_stops, ThreadPoolExecutor(8) as people:
        one_that_stops.sendall(f'{head}{{"name'.encode())
        list(people.map(make_and_delete, [f"pool-{number}" for number in range(8)]))


def test_second_demo_survives_a_lost_pod_and_rolls_without_a_failed_request(platform: Platform) -> None:
    urls = platform.report()["urls"]
    killed: list[int] = []
    killer = threading.Thread(target=kill_first_training, args=(platform, killed))
    with Asking(urls["triton"], urls["triton_grpc"], 160) as asking:
        killer.start()
        second = platform.make("demo", platform.next_release(images=500, epochs=2))
        wait_for(lambda: all(2 in answers for answers in asking.answers.values()), 30)
    killer.join()
    assert second.returncode == 0, second.stdout + second.stderr
    assert killed, "no training process was found to kill"
    report = platform.report()
    assert report["model_version"] == report["served_version"] == 2
    assert platform.versions() == [1, 2]
    assert "try 2" in second.stdout
    assert not asking.failures, asking.failures[:5]
    for protocol, answers in asking.answers.items():
        assert answers[1] > 100, f"{protocol}: {answers}"
        assert answers[2] > 0, f"{protocol} never reached version 2: {answers}"


def kill_first_training(platform: Platform, killed: list[int]) -> None:
    """Kill the training process once it has made a checkpoint, as an evicted or out-of-memory pod ends."""
    wait_for(lambda: any(platform.has_checkpoint(run) for run in platform.trainings().values()), 300)
    for pid in platform.trainings():
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)


def wait_for(happened: Callable[[], bool], seconds: float) -> None:
    """Wait until something has happened, or as long as is given: the assertions afterwards tell which."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_second_commit_touches_only_the_versions_lines(platform: Platform) -> None:
    diff = platform.git("show", "--format=", "--unified=0", platform.report()["commit"])
    changed = [line[1:].strip() for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert sorted(line.split(":")[0] for line in changed) == sorted(["version", "sha256", "runId"] * 2)
    assert (
        platform.git("show", "--format=", "--name-only", platform.tip()) == "argocd-apps/staging/detector/values.yaml"
    )


def test_broken_dataset_fails_at_the_first_step_that_reads_it(platform: Platform, tmp_path: Path) -> None:
    tip, versions = platform.tip(), platform.versions()
    run, state = platform.finish({**TINY, "dataset": str(tmp_path / "absent")})
    tasks = platform.tasks(run)
    assert (state, tasks["prepare"], tasks["train"]) == ("failed", "failed", "upstream_failed")
    assert "ERROR: " in platform.log(run, "prepare")
    assert str(tmp_path / "absent") in platform.log(run, "prepare")
    assert (platform.tip(), platform.versions(), platform.served()) == (tip, versions, 2)


@pytest.mark.parametrize("params", [{"epochs": 0}, {"image_size": 100}, {"min_map50": 2}, {"environment": ""}])
def test_parameter_out_of_range_is_refused_when_triggered(platform: Platform, params: dict[str, object]) -> None:
    with pytest.raises(rest.RestError, match=next(iter(params))):
        platform.airflow().trigger(params)


def test_rollback_puts_a_named_version_back(platform: Platform) -> None:
    params = {"environment": "staging", "app": "detector", "served_model": "digits", "version": 1, "hold": False}
    run, state = platform.finish(params, dag="yolo_rollback")
    assert state == "success", platform.tasks(run, "yolo_rollback")
    assert platform.served() == 1
    assert platform.aliases() == ("1", None, None)


def test_promotion_brings_to_production_what_staging_serves(platform: Platform) -> None:
    before, version = platform.tip(), platform.served()
    run, state = platform.finish({"pipeline": "digits", "from": "staging", "to": "production"}, dag="yolo_promote")
    assert state == "success", platform.tasks(run, "yolo_promote")
    url = platform.airflow("yolo_promote").xcom(run, "verify_serving")["url"]
    assert platform.served(url) == platform.served() == version
    assert url != platform.report()["urls"]["triton"]
    assert platform.git("rev-list", "--count", f"{before}..main", "--", DETECTOR) == "1"
    assert (
        platform.git("show", "-s", "--format=%s", platform.tip())
        == f"promote production/detector/digits {version} from staging"
    )
    values = [platform.git("show", f"main:argocd-apps/{stage}/detector/values.yaml") for stage in STAGES]
    assert values[0] == values[1]
    assert platform.aliases() == (str(version),) * 3


def test_rollback_in_production_leaves_staging_alone(platform: Platform) -> None:
    staging = platform.git("show", "main:argocd-apps/staging/detector/values.yaml")
    params = {"environment": "production", "app": "detector", "served_model": "digits", "version": 2, "hold": False}
    run, state = platform.finish(params, dag="yolo_rollback")
    assert state == "success", platform.tasks(run, "yolo_rollback")
    url = platform.airflow("yolo_rollback").xcom(run, "verify_serving")["url"]
    assert (platform.served(url), platform.served()) == (2, 1)
    assert platform.git("show", "main:argocd-apps/staging/detector/values.yaml") == staging
    assert platform.aliases() == ("1", "2", "2")


def test_status_names_what_is_live(platform: Platform) -> None:
    shown = [line.split() for line in platform.make("status").stdout.splitlines() if "/detector/digits" in line]
    assert [row[:5] for row in shown] == [
        ["production/detector/digits", "2", "2", "Synced,", "Healthy"],
        ["staging/detector/digits", "1", "1", "Synced,", "Healthy"],
    ]
