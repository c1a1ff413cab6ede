"""What a run survives: killed pods, pods that are told to stop, and an MLflow server that goes away."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import Pods, Server, _free_port, make_pods, open_run


def _until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read the output of a command up to the first line with ``text``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines) + (process.stderr.read() if process.stderr else ""))


def _steps(pods: Pods, metric: str = "val/mAP50") -> list[int]:
    return [point.step for point in pods.client.get_metric_history(pods.run_id, metric)]


def test_a_killed_training_goes_on_and_logs_one_model(server: Server, tmp_path: Path) -> None:
    pods = make_pods(server, tmp_path / "workspace", "--epochs=5")
    pods.ok("prepare")
    process = pods.start("train")
    _until(process, "epoch 3/5")
    process.kill()
    process.communicate()

    result = pods.ok("train")
    assert "Going on from the checkpoint after epoch" in result.out
    assert "epoch 1/5" not in result.out and "epoch 5/5" in result.out
    assert sorted(set(_steps(pods))) == [1, 2, 3, 4, 5]
    before = pods.tags["model_uri"], pods.tags["sha256"]

    again = pods.ok("train")
    assert "was already finished" in again.out and "already in MLflow" in again.out
    assert "epoch" not in again.out.replace("epochs", "")
    assert (pods.tags["model_uri"], pods.tags["sha256"]) == before
    experiment = pods.client.get_run(pods.run_id).info.experiment_id
    models = pods.client.search_logged_models([experiment], filter_string=f"source_run_id = '{pods.run_id}'")
    assert len(models) == 1

    other = pods.run("train", "--epochs=6")
    assert other.status == 2
    assert "was begun with other arguments: epochs was '5' and is '6'" in other.last


def test_a_training_that_is_told_to_stop_stops_cleanly(server: Server, tmp_path: Path) -> None:
    pods = make_pods(server, tmp_path / "workspace", "--epochs=50")
    pods.ok("prepare")
    process = pods.start("train")
    _until(process, "epoch 2/50")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err.strip().splitlines()[-1].startswith("ERROR: Stopped by SIGTERM")
    state = json.loads((pods.workspace / "runs" / pods.run_id / "checkpoint/state.json").read_text())
    assert state["epoch"] >= 1 and not state["finished"]


@pytest.fixture
def own_server(tmp_path: Path) -> Server:
    return Server(tmp_path, _free_port())


def test_metrics_wait_for_a_server_that_comes_back(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from trainer.metric_queue import MetricQueue
    from trainer.tracking import Run

    try:
        own_server.start()
        run_id = open_run(own_server.uri)
        run = Run(own_server.uri, run_id)
        with MetricQueue(run) as queue:
            own_server.stop()
            for step in (1, 2, 3):
                queue.put({"val/mAP50": step / 10}, step)
            restart = threading.Timer(2, own_server.start)
            restart.start()
        restart.join()
        history = run.client.get_metric_history(run_id, "val/mAP50")
        assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.2), (3, 0.3)]
    finally:
        own_server.stop()


def test_a_server_that_stays_away_fails_the_command_at_the_end(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from trainer.errors import TrackingError
    from trainer.metric_queue import MetricQueue
    from trainer.tracking import Run

    try:
        own_server.start()
        run = Run(own_server.uri, open_run(own_server.uri))
    finally:
        own_server.stop()
    with pytest.raises(TrackingError, match="1 metrics could not be sent"), MetricQueue(run, last_wait=3) as queue:
        queue.put({"val/mAP50": 0.5}, 1)


def test_a_training_without_a_server_may_be_retried(pods: Pods) -> None:
    pods.uri = f"http://127.0.0.1:{_free_port()}"
    result = pods.run("prepare", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert result.status == 1
    assert result.last.startswith("ERROR: MLflow at") and "then retry" in result.last
