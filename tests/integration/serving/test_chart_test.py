"""The chart's pods, rendered by the real Helm: the server's on a real Triton, and `helm test`'s against one."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from tests.integration.serving.pictures import file, red
from tests.support.mlflow import Mlflow, Registered
from tests.support.paths import ROOT, TRITON_VENV
from tests.support.processes import free_port
from tests.support.triton import Triton

pytestmark = pytest.mark.xdist_group("serving")


def rendered(template_file: str, model: str, registered: Registered, **changes: Any) -> dict[str, Any]:
    """One object of the chart for a version; ``changes`` are of the entry in `models`, but for `server` and `test`."""
    given = {key: changes.pop(key, {}) for key in ("server", "test")}
    served = {
        "name": model,
        "registeredModel": registered.name,
        "version": registered.version,
        "sha256": registered.sha256,
        "runId": registered.run_id,
    }
    values = {
        "models": [served | changes],
        "modelRepository": {"source": "image", "image": {"root": str(ROOT)}},
        **given,
    }
    with helm_python.Chart.load(ROOT / "charts" / "triton") as chart:
        text = chart.render(values, name="detector", namespace="staging")[f"triton/templates/{template_file}"]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def environment(container: dict[str, Any], root: Path) -> dict[str, str]:
    """What is given by value, with mount paths below a folder."""
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    return {key: f"{root}{value}" if value in mounts else value for key, value in given.items()}


def assembled(model: str, registered: Registered, secret: dict[str, str], root: Path, **changes: Any) -> dict[str, Any]:
    """Runs the init container of a rendered pod, with its mount paths below a folder; the server's container."""
    pod = rendered("server/deployment.yaml", model, registered, **changes)["spec"]["template"]["spec"]
    (assemble,), server = pod["initContainers"], pod["containers"][0]
    for mount in server["volumeMounts"]:
        Path(f"{root}{mount['mountPath']}").mkdir(parents=True, exist_ok=True)
    command = assemble["command"] + assemble["args"]
    path = f"{TRITON_VENV / 'bin'}:/usr/bin:/bin"
    variables = {"PATH": path, "HOME": str(root)} | environment(assemble, root) | secret
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = server
    return found


@pytest.mark.parametrize("mode", ["none", pytest.param("explicit", marks=pytest.mark.extended)])
def test_rendered_pods_serve_a_detector_with_its_twin_for_pictures_and_a_classifier_with_its_labels(
    mode: str, triton_executable: Path, mlflow_server: Mlflow, toy: Registered, colours: Registered, tmp_path: Path
) -> None:
    secret = {"MLFLOW_TRACKING_URI": mlflow_server.uri}
    server = assembled("toy", toy, secret, tmp_path, server={"modelControlMode": mode})
    assembled("colours", colours, secret, tmp_path, template="classifier")
    assert (tmp_path / "models" / "colours" / "labels.txt").read_text() == "red\ngreen\nnavy blue\n"
    options = [text for text in server["args"] if "-port=" not in text and "-address=" not in text]
    assert options.pop(0) == "--model-repository=/models"
    # One server for both pods' folders: each pod's environment names its own version, which the folder does, too.
    variables = environment(server, tmp_path) | secret
    with Triton(triton_executable, tmp_path / "models", variables, tuple(options)).running() as triton:
        triton.wait_ready("toy", "toy_encoded", "colours")
        assert helm_test(triton.http, "toy", toy).returncode == 0
        assert helm_test(triton.http, "colours", colours, template="classifier").returncode == 0


def test_a_classifier_whose_version_is_not_there_stops_its_pod_with_the_reason(
    mlflow_server: Mlflow, colours: Registered, tmp_path: Path
) -> None:
    secret = {"MLFLOW_TRACKING_URI": mlflow_server.uri}
    with pytest.raises(AssertionError, match=r"ERROR: the class names for labels.txt could not be found: .* lacks "):
        assembled("colours", colours, secret, tmp_path, template="classifier", version=99)


def helm_test(server: str, model: str, registered: Registered, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command of the test's container, with the address of a server in place of the Service's."""
    container = rendered("tests/request.yaml", model, registered, **changes)["spec"]["containers"][0]
    variables = {entry["name"]: entry["value"] for entry in container["env"]} | {"SERVER": server}
    assert container["command"][0] == "python3"
    command = [sys.executable, *container["command"][1:], *container["args"]]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)


def test_it_passes_where_the_version_of_the_values_answers(serving: Triton, toy: Registered) -> None:
    done = helm_test(serving.http, "toy", toy)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"toy: version {toy.version} of toy answers\n"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"version": 99}, "the values name"),
        ({"sha256": "0" * 64}, "the values name"),
        ({"name": "absent"}, "refuses the request with"),
    ],
    ids=["another version", "another file", "another model"],
)
def test_it_fails_and_says_why(changes: dict[str, Any], said: str, serving: Triton, toy: Registered) -> None:
    done = helm_test(serving.http, changes.pop("name", "toy"), toy, **changes)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: ")
    assert said in done.stderr


def log_requests(triton: Triton, model: str, registered: Registered, log: Path, *more: str) -> str:
    """Runs the Job of `helm test` with the addresses of this machine, and ends with what it said."""
    job = rendered("tests/latency.yaml", model, registered, test={"latency": {"enabled": True, "requests": 12}})
    options = [text.partition("=") for text in job["spec"]["template"]["spec"]["containers"][0]["args"]]
    here = {"--url": triton.grpc, "--log": str(log)}
    arguments = [f"{name}={here.get(name, value)}" for name, _, value in options]
    command = [sys.executable, str(ROOT / "examples" / "log_requests.py"), *arguments, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_job_logs_time_and_result_of_each_request(
    serving: Triton, toy: Registered, colours: Registered, tmp_path: Path
) -> None:
    said = log_requests(serving, "toy", toy, tmp_path / "toy.jsonl", "--concurrency=3")
    assert f"toy serves toy version {toy.version}" in said
    assert re.search(r"12 requests, 0 failed, p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms; ", said)
    lines = [json.loads(line) for line in (tmp_path / "toy.jsonl").read_text().splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(12))
    assert all(line["milliseconds"] > 0 and not line["error"] for line in lines)
    # Noise is grey on average, of which the toy finds both classes.
    assert {found["label"] for line in lines for found in line["result"]} == {"red", "green"}

    picture = tmp_path / "red.png"
    picture.write_bytes(file(red(128, 96)))
    log_requests(serving, "colours", colours, tmp_path / "log.csv", "--requests=2", "--classes=1", str(picture))
    with (tmp_path / "log.csv").open(newline="") as table:
        first, second = csv.DictReader(table)
    assert (first["picture"], first["error"], second["number"]) == ("red.png", "", "1")
    (best,) = json.loads(first["result"])
    assert (best["class"], best["label"]) == (0, "red") and best["score"] > 0.99

    log_requests(serving, "toy", toy, tmp_path / "boxes.jsonl", "--requests=1", str(tmp_path))
    (line,) = (json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines())
    # The toy's box in a letterbox of 64, in pixels of the picture.
    assert [round(side) for side in line["result"][0]["box"]] == [24, 24, 56, 40]


def test_it_fails_where_nothing_answers(toy: Registered) -> None:
    done = helm_test(f"http://127.0.0.1:{free_port()}", "toy", toy)
    assert done.returncode == 1
    assert "does not answer as Triton does" in done.stderr
