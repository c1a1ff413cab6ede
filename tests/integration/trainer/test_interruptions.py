"""What a run survives: killed pods, pods that are told to stop, and an MLflow server that is unreachable."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from colours import LEARNING, Colours
from pods import Gate, Pods, Server, free_port, make_pods, open_run

# With test_commands.py, one after another.
pytestmark = pytest.mark.xdist_group("trainer")


def _until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read the output of a command up to the first line with ``text``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError("".join(lines) + (process.stderr.read() if process.stderr else ""))


@pytest.mark.extended
def test_a_killed_training_goes_on_learns_and_logs_one_model(server: Server, colours: Colours, tmp_path: Path) -> None:
    options = [f"--dataset={colours.dataset}", f"--model={colours.beginner}", "--epochs=30", "--batch=8"]
    pods = make_pods(server, tmp_path / "workspace", *options, f"--hyperparameters={json.dumps(LEARNING)}")
    pods.ok("prepare")
    process = pods.start("train")
    _until(process, "epoch 2/30")
    process.kill()
    process.communicate()

    result = pods.ok("train")
    assert "Going on from the checkpoint after epoch" in result.out
    assert "epoch 1/30" not in result.out and "epoch 30/30" in result.out
    losses = dict(pods.history("train/cls_loss"))
    assert sorted(losses) == list(range(1, 31))
    assert losses[30] < losses[1] / 4
    assert dict(pods.history("val/mAP50"))[30] > 0.9
    before = pods.tags["model_uri"], pods.tags["sha256"]

    again = pods.ok("train")
    assert "was already finished" in again.out and "already in MLflow" in again.out
    assert "epoch" not in again.out.replace("epochs", "")
    assert (pods.tags["model_uri"], pods.tags["sha256"]) == before
    experiment = pods.client.get_run(pods.run_id).info.experiment_id
    models = pods.client.search_logged_models([experiment], filter_string=f"source_run_id = '{pods.run_id}'")
    assert len(models) == 1

    other = pods.run("train", "--epochs=31")
    assert other.status == 2
    assert "was begun with other arguments: epochs was '30' and is '31'" in other.last


@pytest.mark.extended
def test_a_training_that_is_told_to_stop_stops_cleanly(server: Server, colours: Colours, tmp_path: Path) -> None:
    pods = make_pods(server, tmp_path / "workspace", "--epochs=500", f"--model={colours.architecture}")
    pods.ok("prepare")
    process = pods.start("train")
    _until(process, "epoch 2/500")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.strip().splitlines()[-1].startswith("ERROR: Stopped by SIGTERM")
    state = json.loads((pods.workspace / "runs" / pods.run_id / "checkpoint/state.json").read_text())
    assert state["epoch"] >= 1 and not state["finished"]


def test_metrics_wait_for_a_server_that_comes_back(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from trainer.metric_queue import MetricQueue
    from trainer.tracking import Run

    run_id = open_run(gate.uri)
    run = Run(gate.uri, run_id)
    with MetricQueue(run) as queue:
        gate.close()
        for step in (1, 2, 3):
            queue.put({"val/mAP50": step / 10}, step)
        said = ""
        for _ in range(600):
            said += capsys.readouterr().out
            if "Metrics wait: MLflow at" in said:
                break
            time.sleep(0.05)
        assert "Metrics wait: MLflow at" in said
        gate.open()
    history = run.client.get_metric_history(run_id, "val/mAP50")
    assert [(point.step, point.value) for point in history] == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_a_server_that_stays_away_fails_the_command_at_the_end(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from trainer.errors import TrackingError
    from trainer.metric_queue import MetricQueue
    from trainer.tracking import Run

    run = Run(gate.uri, open_run(gate.uri))
    gate.close()
    with pytest.raises(TrackingError, match="1 metrics could not be sent"), MetricQueue(run, last_wait=1) as queue:
        queue.put({"val/mAP50": 0.5}, 1)


def test_a_training_without_a_server_may_be_retried(pods: Pods) -> None:
    pods.uri = f"http://127.0.0.1:{free_port()}"
    result = pods.run_process("prepare", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert result.status == 1
    assert result.last.startswith("ERROR: MLflow at") and "then retry" in result.last
