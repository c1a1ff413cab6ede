"""A classifier, from data to a client's log, in the app that detects letters: its release leaves their server alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.e2e.clients import Asking
from tests.e2e.letters import CLASSES, DAG, VALUES, push_classifier
from tests.e2e.platform_under_test import QUICK, ROOT, Platform
from tools import rest

# After test_second_detector.py, in the same worker: the letters that it left live are beside the classifier.
pytestmark = [pytest.mark.slow, pytest.mark.extended, pytest.mark.xdist_group("letters")]

MODEL = "digits-classifier"
# Digits and epochs that are enough for 0.95, in half of the example's time.
EXAMPLE = yaml.safe_load((ROOT / "dags" / "examples" / f"{CLASSES}.yaml").read_text())["train"]["hyperparameters"]
FEWER = {"dataset": "digits?task=classify&images=1250", "epochs": 3, "hyperparameters": EXAMPLE | QUICK}


@dataclass(frozen=True)
class Released:
    """The classifier's run and its server's addresses, and what the letters' clients got meanwhile."""

    run: str
    url: str
    grpc_url: str
    asking: Asking


@pytest.fixture(scope="module", autouse=True)
def released(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """Push the classifier's entry, and release a version while clients ask for letters in the same app."""
    try:
        push_classifier(platform, tmp_path_factory.mktemp("clone"))
        airflow = platform.airflow(DAG)
        letters = airflow.xcom(airflow.last_success(), "verify_serving")
        with Asking(letters["url"], letters["grpc_url"], 160, DAG) as asking:
            run, state = platform.finish(FEWER, CLASSES)
        assert state == "success", (platform.tasks(run, CLASSES), platform.log(run, "close_run", CLASSES))
        served = platform.airflow(CLASSES).xcom(run, "verify_serving")
        yield Released(run, served["url"], served["grpc_url"], asking)
    finally:
        platform.ended_file("test_second_task").touch()


def test_resnet18_learned_the_digits_and_is_live_beside_the_letters(platform: Platform, released: Released) -> None:
    run_id = platform.airflow(CLASSES).xcom(released.run, "open_run")["run_id"]
    measured = rest.Mlflow(platform.state()["urls"]["mlflow"]).run(run_id)["metrics"]
    assert 0.95 <= measured["test/top1"] <= measured["test/top5"]
    assert platform.served(released.url, CLASSES) == 1
    subject = platform.git("log", "-1", "--format=%s", "main", "--", VALUES[0])
    assert subject.partition(" in ")[0] == f"Promote {MODEL} 1"


def test_the_letters_clients_noticed_nothing(released: Released) -> None:
    assert not released.asking.failures, released.asking.failures[:5]
    for protocol, answers in released.asking.answers.items():
        assert set(answers) == {3} and answers[3] > 50, f"{protocol}: {answers}"


def test_a_client_logs_time_and_class_of_each_picture(platform: Platform, released: Released, tmp_path: Path) -> None:
    run_id = platform.airflow(CLASSES).xcom(released.run, "open_run")["run_id"]
    (folder,) = (platform.home / "mlflow" / "artifacts").glob(f"**/{run_id}/artifacts/verification")
    told = {
        image["file"]: str(image["class"]) for image in json.loads((folder / "expected.json").read_text())["images"]
    }
    log = tmp_path / "requests.jsonl"
    python, script = ROOT / ".venv" / "dev" / "bin" / "python", ROOT / "examples" / "log_requests.py"
    options = [f"--log={log}", f"--url={released.grpc_url}", f"--model={CLASSES}", f"--requests={5 * len(told)}"]
    done = subprocess.run([python, script, *options, folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{CLASSES} serves {MODEL} version 1" in done.stdout
    assert f"{5 * len(told)} requests, 0 failed, p50 " in done.stdout and "p99 " in done.stdout
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(entries) == 5 * len(told) and all(entry["milliseconds"] > 0 for entry in entries)
    assert {entry["picture"]: entry["result"][0]["label"] for entry in entries} == told
