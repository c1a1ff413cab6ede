"""The commands that the chart's pods run, taken from the rendered pod and run for real."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.unit.charts.conftest import CHART, Manifest, Render, overlay


@pytest.fixture
def assemble(values: Manifest, render: Render, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the init container `assemble` on a checkout with one template."""
    template = tmp_path / "git" / "current" / "model_repository" / "yolo"
    (template / "1").mkdir(parents=True)
    (template / "config.pbtxt").write_text('backend: "python"')
    (template / "1" / "model.py").write_text("# the model\n")
    return run(values, render, tmp_path)


def run(values: Manifest, render: Render, root: Path) -> subprocess.CompletedProcess[str]:
    """What the kubelet does: mount paths become folders below ``root``."""
    container = render(values, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"][-1]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    env = {}
    for entry in container["env"]:
        value = entry.get("value", "")
        env[entry["name"]] = f"{root}{value}" if any(value.startswith(mount) for mount in mounts) else value
    for mount in mounts:
        Path(f"{root}{mount}").mkdir(exist_ok=True)
    command = container["command"] + container["args"]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, timeout=20, check=False
    )


def test_assemble_makes_a_model_folder_that_tells_its_version(
    assemble: subprocess.CompletedProcess[str], tmp_path: Path, model: Manifest
) -> None:
    assert assemble.returncode == 0, assemble.stderr
    folder = tmp_path / "models" / "digits"
    assert (folder / "1" / "model.py").read_text() == "# the model\n"
    config = (folder / "config.pbtxt").read_text()
    assert config.startswith('backend: "python"\n')
    expected = {
        "mlflow_model_name": "digits-detector",
        "mlflow_model_version": "3",
        "mlflow_run_id": model["runId"],
        "sha256": model["sha256"],
        "code_commit": "",
    }
    for key, value in expected.items():
        assert f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' in config


def test_assemble_puts_the_public_names_before_the_engine(values: Manifest, render: Render, tmp_path: Path) -> None:
    """With the repository's own templates."""
    source = CHART.parents[1] / "model_repository"
    shutil.copytree(source, tmp_path / "git" / "current" / "model_repository")
    models = tmp_path / "models"
    done = run(values, render, tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in models.iterdir()} == {"digits", "digits_encoded", "digits_engine"}
    step = '      model_name: "digits_engine"'
    encoded = lines_that_differ(source / "yolo_encoded" / "config.pbtxt", models / "digits_encoded" / "config.pbtxt")
    tensors = lines_that_differ(source / "yolo_tensors" / "config.pbtxt", models / "digits" / "config.pbtxt")
    engine = lines_that_differ(source / "yolo" / "config.pbtxt", models / "digits_engine" / "config.pbtxt")
    assert encoded == [step, step]
    assert tensors == [step, step, *engine] and len(engine) == 5
    assert all(line.startswith("parameters") for line in engine)
    assert (models / "digits" / "1").is_dir() and (models / "digits_encoded" / "1").is_dir()
    beside = {path.name for path in (models / "digits_engine" / "1").iterdir()}
    assert beside == {"__pycache__", "model.py", "detector", "encoded_images", "model_server"}
    assert run(overlay(values, {"server": {"encodedImages": False}}), render, tmp_path).returncode == 0
    assert {path.name for path in models.iterdir()} == {"digits", "digits_engine"}


def test_instances_and_batches_of_the_values_replace_those_of_the_template(
    values: Manifest, render: Render, tmp_path: Path
) -> None:
    """With the repository's own templates."""
    source = CHART.parents[1] / "model_repository"
    shutil.copytree(source, tmp_path / "git" / "current" / "model_repository")
    server = {"instances": 2, "maxBatchSize": 4, "maxQueueDelayMicroseconds": 0}
    done = run(overlay(values, {"server": server}), render, tmp_path)
    assert done.returncode == 0, done.stderr
    templates = {"digits_engine": "yolo", "digits": "yolo_tensors", "digits_encoded": "yolo_encoded"}
    changed = {
        name: lines_that_differ(source / template / "config.pbtxt", tmp_path / "models" / name / "config.pbtxt")
        for name, template in templates.items()
    }
    public = ["max_batch_size: 4", *2 * ['      model_name: "digits_engine"']]
    assert changed["digits_encoded"] == changed["digits"][:3] == public
    assert changed["digits_engine"][:2] == ["max_batch_size: 4", "instance_group [ { kind: KIND_CPU count: 2 } ]"]
    assert changed["digits"][3:] == changed["digits_engine"][2:]
    assert all(line.startswith("parameters") for line in changed["digits_engine"][2:])


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ({"maxQueueDelayMicroseconds": 250}, "dynamic_batching { max_queue_delay_microseconds: 250 }"),
        (
            {"preferredBatchSize": 2},
            "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 0 }",
        ),
        (
            {"preferredBatchSize": 4, "maxQueueDelayMicroseconds": 250},
            "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 250 }",
        ),
    ],
)
def test_the_values_say_how_requests_are_brought_together(
    server: dict[str, int], line: str, values: Manifest, render: Render, tmp_path: Path
) -> None:
    """With the repository's own templates."""
    source = CHART.parents[1] / "model_repository"
    shutil.copytree(source, tmp_path / "git" / "current" / "model_repository")
    run(overlay(values, {"server": server}), render, tmp_path)
    engine = tmp_path / "models" / "digits_engine" / "config.pbtxt"
    assert lines_that_differ(source / "yolo" / "config.pbtxt", engine)[0] == line


def lines_that_differ(before: Path, after: Path) -> list[str]:
    """Lines of a file that another one has not got."""
    known = set(before.read_text().splitlines())
    return [line for line in after.read_text().splitlines() if line and line not in known]


@pytest.mark.usefixtures("assemble")
def test_a_template_without_the_line_that_a_value_replaces_is_named(
    values: Manifest, render: Render, tmp_path: Path
) -> None:
    failed = run(overlay(values, {"server": {"instances": 2}}), render, tmp_path)
    assert failed.returncode == 1
    assert "ERROR: config.pbtxt in model_repository/yolo of the git repository" in failed.stderr
    assert "no single line that begins with instance_group" in failed.stderr


def test_assemble_takes_the_commit_that_the_pin_names_and_no_other(
    values: Manifest, model: Manifest, render: Render, tmp_path: Path
) -> None:
    model["codeCommit"] = "a" * 40
    for commit, code in (("a" * 40, 0), ("b" * 40, 1)):
        template = tmp_path / "git" / ".worktrees" / commit / "model_repository" / "yolo"
        template.mkdir(parents=True)
        (template / "config.pbtxt").write_text('backend: "python"')
        (tmp_path / "git" / "current").unlink(missing_ok=True)
        (tmp_path / "git" / "current").symlink_to(Path(".worktrees") / commit)
        done = run(values, render, tmp_path)
        assert done.returncode == code, done.stderr
        config = (tmp_path / "models" / "digits" / "config.pbtxt").read_text()
        assert f'key: "code_commit" value {{ string_value: "{"a" * 40}" }}' in config
    assert f"git-sync checked out {'b' * 40}, and the values name codeCommit {'a' * 40}" in done.stderr
    # Without a pin, what was found at the reference is told.
    model["codeCommit"] = None
    assert run(values, render, tmp_path).returncode == 0
    assert "b" * 40 in (tmp_path / "models" / "digits" / "config.pbtxt").read_text()


@pytest.mark.usefixtures("assemble")
def test_assemble_can_run_again_in_the_same_pod(values: Manifest, render: Render, tmp_path: Path) -> None:
    assert run(values, render, tmp_path).returncode == 0
    config = (tmp_path / "models" / "digits" / "config.pbtxt").read_text()
    assert config.count("mlflow_model_version") == 1


@pytest.mark.usefixtures("assemble")
def test_assemble_names_a_template_that_is_not_there(
    values: Manifest, model: Manifest, render: Render, tmp_path: Path
) -> None:
    model["template"] = "absent"
    failed = run(values, render, tmp_path)
    assert failed.returncode == 1
    assert "ERROR: there is no config.pbtxt in model_repository/absent" in failed.stderr
    assert "models[].template" in failed.stderr


def test_the_pre_stop_command_waits_and_succeeds(values: Manifest, render: Render) -> None:
    short = overlay(values, {"server": {"preStopSleepSeconds": 1}, "proxy": {"enabled": False}})
    triton = render(short, only="Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    start = time.monotonic()
    done = subprocess.run(triton["lifecycle"]["preStop"]["exec"]["command"], timeout=20, check=False)
    assert done.returncode == 0
    assert time.monotonic() - start >= 1


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on loopback whose bucket `models` holds one template; its URL."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key"
    )
    client.create_bucket(Bucket="models")
    for name in ("config.pbtxt", "1/model.py", "1/detector/task.py"):
        client.put_object(Bucket="models", Key=f"team/model_repository/yolo/{name}", Body=f"# {name}\n".encode())
    client.put_object(Bucket="models", Key="team/model_repository/shared/model_server/served.py", Body=b"# shared\n")
    for other in ("yolo_tensors", "other"):
        client.put_object(Bucket="models", Key=f"team/model_repository/{other}/config.pbtxt", Body=b"# other\n")
    try:
        yield url
    finally:
        server.stop()


def fetch(values: Manifest, render: Render, url: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run the init container `s3`, with the real s5cmd, as the kubelet would."""
    s3 = {"bucket": "models", "prefix": "team", "endpoint": url, "accessKeyId": "id", "secretAccessKey": "key"}
    given = overlay(values, {"modelRepository": {"source": "s3", "s3": s3}})
    container = render(given, only="Deployment")[0]["spec"]["template"]["spec"]["initContainers"][0]
    secret = render(given, only="Secret")[0]["stringData"]
    env = {
        entry["name"]: entry.get("value") or secret[entry["valueFrom"]["secretKeyRef"]["key"]]
        for entry in container["env"]
    }
    arguments = [f"{root}{text}" if text.startswith("/templates") else text for text in container["args"]]
    command = [str(Path(sys.executable).parent / "s5cmd"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_template_comes_out_of_a_bucket(values: Manifest, render: Render, bucket: str, tmp_path: Path) -> None:
    done = fetch(values, render, bucket, tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "templates" / "model_repository"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    template = {"yolo/config.pbtxt", "yolo/1/model.py", "yolo/1/detector/task.py", "shared/model_server/served.py"}
    assert found == template | {"yolo_tensors/config.pbtxt"}, "this model's, its name for tensors, what all share"
    assert (folder / "yolo" / "1" / "model.py").read_text() == "# 1/model.py\n"


def test_a_template_that_is_not_in_the_bucket_stops_the_pod(
    values: Manifest, model: Manifest, render: Render, bucket: str, tmp_path: Path
) -> None:
    model["template"] = "absent"
    fetch(values, render, bucket, tmp_path)
    s3 = {"source": "s3", "s3": {"bucket": "models", "prefix": "team"}}
    failed = run(overlay(values, {"modelRepository": s3}), render, tmp_path)
    assert failed.returncode != 0
    assert "ERROR: there is no config.pbtxt in model_repository/absent of the bucket models." in failed.stderr


def test_assemble_says_which_source_lacks_the_template(values: Manifest, render: Render, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    claim = {"source": "persistentVolumeClaim", "persistentVolumeClaim": {"claimName": "model-templates"}}
    failed = run(overlay(values, {"modelRepository": claim}), render, tmp_path)
    assert failed.returncode == 1
    assert "ERROR: there is no config.pbtxt in model_repository/yolo of the claim model-templates." in failed.stderr
