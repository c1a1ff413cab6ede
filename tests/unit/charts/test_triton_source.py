"""Entries that are somebody else's Triton folder: what is rendered of them, and what may not be beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import boto3
import helm_python
import pytest
import yaml
from lifecycle.model.pin import Pin
from moto.server import ThreadedMotoServer

from tests.unit.charts.conftest import Manifest, Render, overlay

URI = "s3://models/quickstart/densenet_onnx"
STORE = {"endpoint": "http://minio:9000", "existingSecret": "minio"}


def values(mode: str = "none", **entry: object) -> Manifest:
    models = [{"name": "densenet_onnx", "source": {"s3": f"{URI}/"}, "hold": False, **entry}]
    return {"models": models, "server": {"modelControlMode": mode}, "modelRepository": {"s3": STORE}}


def test_names_are_of_kubernetes_and_labels_of_triton(render: Render) -> None:
    (deployment,) = render(values(), only="Deployment")
    assert deployment["metadata"]["name"] == "detector-densenet-onnx"
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "densenet_onnx"
    # With or without a slash: the lifecycle looks for the pods by the same label.
    known = {Pin(None, "", "", uri=uri).label for uri in (URI, f"{URI}/")}
    assert known == {labels["yolo-lifecycle/model-version"]}
    assert pod["metadata"]["annotations"]["yolo-lifecycle/source"] == URI


def test_such_a_pod_needs_nothing_of_mlflow_or_git(render: Render) -> None:
    (deployment,) = render(values(), only="Deployment")
    text = yaml.safe_dump(deployment)
    assert "mlflow" not in text.lower() and "git-sync" not in text
    assert [each["name"] for each in deployment["spec"]["template"]["spec"]["initContainers"]] == ["source"]


@pytest.mark.parametrize(("mode", "containers"), [("explicit", 2), ("poll", 3)])
def test_control_modes_are_tritons(mode: str, containers: int, render: Render) -> None:
    (deployment,) = render(values(mode), only="Deployment")
    found = deployment["spec"]["template"]["spec"]["containers"]
    assert len(found) == containers, "a polled folder needs somebody who fetches it"
    assert f"--model-control-mode={mode}" in found[0]["args"]
    assert ("--repository-poll-secs=30" in found[0]["args"]) is (mode == "poll")


def test_the_rules_know_it_by_its_folder(render: Render) -> None:
    given = overlay(values(), {"monitoring": {"prometheusRule": {"enabled": True}}})
    (rule,) = render(given, only="PrometheusRule")
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    (recorded,) = [each for each in rules if each.get("record") == "yolo:git_source:info"]
    assert (recorded["labels"]["model"], recorded["labels"]["source"]) == ("densenet_onnx", URI)
    alerts = {each["alert"]: each["expr"] for each in rules if "alert" in each}
    for name in ("YoloModelNotServed", "YoloServerNotReady"):
        assert 'nv_inference_request_success{model=~"densenet_onnx"' in alerts[name]


WRONG: dict[str, tuple[Manifest, str]] = {
    "a version beside it": (values(registeredModel="x", version=3), "remove one of them"),
    "no address": ({"models": [{"name": "a", "source": {}}]}, "s3"),
    "another scheme": ({"models": [{"name": "a", "source": {"s3": "gs://b/k"}}]}, "/models/0/source/s3"),
    "two names of one object": (
        {"models": [{"name": "a_b", "source": {"s3": URI}}, {"name": "a-b", "source": {"s3": URI}}]},
        "in names of objects, _ is -",
    ),
    "an underscore without a source": (
        {"models": [{"name": "a_b", "registeredModel": "m", "version": None}]},
        "underscore",
    ),
    "polling a version": (
        {"models": [{"name": "a", "registeredModel": "m", "version": None}], "server": {"modelControlMode": "poll"}},
        "server.modelControlMode",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_entry_is_named(case: str, render: Render) -> None:
    given, words = WRONG[case]
    with pytest.raises(helm_python.HelmError, match=words):
        render(given)


def test_helm_test_asks_which_folder_answers(render: Render) -> None:
    (pod,) = render(values(), hooks=True)
    container = pod["spec"]["containers"][0]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert told == {"SERVER": "http://detector-densenet-onnx:8000", "MODEL": "densenet_onnx", "SOURCE": URI}
    compile(container["args"][0], "answers.py", "exec")


def fetch(render: Render, url: str, root: Path, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the init container `source`, with the real s5cmd, as the kubelet would."""
    given = overlay(values(), {"modelRepository": {"s3": {"endpoint": url}}, **more})
    container = render(given, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"][0]
    env = {each["name"]: each.get("value", "key") for each in container["env"]}
    for name in ("MODELS", "FOLDER"):
        env[name] = f"{root}{env[name]}"
        Path(env[name]).mkdir(exist_ok=True)
    env["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = container["command"] + container["args"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_folder_is_fetched_and_tells_where_it_is_from(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "key"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="models")
        prefix = URI.removeprefix("s3://models/")
        client.put_object(Bucket="models", Key=f"{prefix}/1/model.onnx", Body=b"onnx")
        client.put_object(Bucket="models", Key=f"{prefix}_other/1/model.onnx", Body=b"another")
        incomplete = fetch(render, url, tmp_path)
        assert incomplete.returncode == 1
        assert "holds no config.pbtxt" in incomplete.stderr and "server.autoCompleteConfig" in incomplete.stderr
        done = fetch(render, url, tmp_path, server={"autoCompleteConfig": True})
        assert done.returncode == 0, done.stderr
    finally:
        server.stop()
    folder = tmp_path / "models" / "densenet_onnx"
    copy = folder.resolve()
    found = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert found == {"config.pbtxt", "1/model.onnx"}, "nothing of a folder whose name only begins alike"
    assert f'key: "source_uri" value {{ string_value: "{URI}" }}' in (folder / "config.pbtxt").read_text()
