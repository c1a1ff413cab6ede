"""What the Dockerfiles promise to the charts, to the DAG's pods and to a person who reads an image's labels."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.unit.images.conftest import ROOT
from tools.environments import UV
from tools.images.build import LABELS
from tools.images.catalogue import BASES, HEALTH, IMAGES, Image, base_folder

EACH = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def of(image: Image, kind: str) -> list[str]:
    """What follows an instruction, each time it is there."""
    return [rest for name, rest in instructions(image.dockerfile) if name == kind]


@EACH
def test_the_base_is_an_argument_and_pinned(image: Image) -> None:
    base = next(rest for rest in of(image, "ARG") if rest.startswith("BASE="))
    name, _, tag = base.removeprefix("BASE=").partition("@")[0].rpartition(":")
    assert re.match(r"[\w.-]+\.[a-z]+/", name), "named in full, so that no machine's search list decides"
    assert re.search(r"\d+\.\d+", tag) and "latest" not in tag
    assert all(source.split()[0] in ("${BASE}",) for source in of(image, "FROM"))


@EACH
def test_it_does_not_run_as_root(image: Image) -> None:
    assert of(image, "USER")[-1] == image.user


def test_the_users_are_those_of_the_pods() -> None:
    users = {image.name: image.user for image in IMAGES}
    pods = (ROOT / "plugins" / "lifecycle" / "trainer_pods.py").read_text()
    trainer = re.search(r"^USER = (\d+)$", pods, re.MULTILINE)
    assert trainer is not None and users["trainer"] == users["lifecycle"] == f"{trainer[1]}:{trainer[1]}"
    context = yaml.safe_load((ROOT / "charts" / "triton" / "values.yaml").read_text())["podSecurityContext"]
    assert users["triton"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    # MLflow's server runs in the Airflow image, which knows its user by name.
    mlflow = (ROOT / "charts" / "mlflow" / "templates" / "deployment.yaml").read_text()
    asked = re.search(r"runAsUser: (\d+)", mlflow)
    assert asked is not None and f"--uid {asked[1]} " in (base_folder("airflow") / "Dockerfile").read_text()


@EACH
def test_packages_come_before_code_so_that_new_code_does_not_install_them_again(image: Image) -> None:
    lines = instructions(image.dockerfile)
    installs = max(index for index, (name, rest) in enumerate(lines) if name == "RUN" and "pip install" in rest)
    before = " ".join(rest for name, rest in lines[:installs] if name == "COPY")
    assert "requirements.txt" in before
    for code in ("trainer ", "clients/", "plugins/", "dags/", "health.py"):
        assert code not in before
    labelled = next(index for index, (name, _) in enumerate(lines) if name == "LABEL")
    assert labelled == len(lines) - 1, "the revision differs at every commit"


@EACH
def test_the_settings_of_a_machine_are_a_secret_of_the_step_that_needs_them(image: Image) -> None:
    for command in of(image, "RUN"):
        if "pip install" in command:
            assert command.startswith("--mount=type=secret,id=pip.env")
    assert not any(re.search(r"PIP_\w*INDEX|FIND_LINKS", rest) for kind in ("ARG", "ENV") for rest in of(image, kind))


@EACH
def test_the_labels_are_complete(image: Image) -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', of(image, "LABEL")[0]))
    assert set(labels) == set(LABELS)
    assert labels["title"] == f"yolo-{image.name}"
    assert ("AGPL-3.0-only" in labels["licenses"]) is (image.name == "trainer"), "Ultralytics is in one image alone"


@EACH
def test_it_has_its_health_command(image: Image) -> None:
    script = image.dockerfile.with_name("health.py")
    assert os.access(script, os.X_OK) and script.read_text().startswith("#!/usr/bin/env python3\n")
    copied = [rest.split() for rest in of(image, "COPY") if "health.py" in rest]
    assert len(copied) == 1 and copied[0][-1] == f"{Path(HEALTH).parent}/"


@EACH
def test_the_context_has_what_is_copied_and_not_much_else(image: Image) -> None:
    """The ignore files are lists of what is let in, in a form that Docker and buildah read in the same way."""
    lines = image.ignorefile.read_text().splitlines()
    assert lines[0] == "**"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copies = [rest.split() for rest in of(image, "COPY") if "--from=" not in rest]
    copied = {word.rstrip("/") for words in copies for word in words[:-1] if not word.startswith("--")}
    assert allowed == copied
    assert all((ROOT / image.context / name).exists() for name in allowed)
    if any((ROOT / image.context / name).is_dir() for name in allowed):
        assert "**/__pycache__" in lines


@EACH
def test_what_the_health_command_reads_is_copied_beside_it(image: Image) -> None:
    health = (ROOT / "docker" / image.name / "health.py").read_text()
    wanted = re.findall(r'with_name\("([^"]+)"\)', health)
    copied = {Path(word).name for rest in of(image, "COPY") for word in rest.split()}
    assert set(wanted) <= copied


def test_the_same_versions_everywhere() -> None:
    """Those of the sandbox, and of the chart that runs the image."""
    trainer = (ROOT / "docker" / "trainer" / "Dockerfile").read_text()
    assert f"ARG UV={UV}\n" in trainer
    pin = re.compile(r"^[\w-]+==\S+$", re.MULTILINE)
    wheel = pin.findall((base_folder("triton") / "requirements.txt").read_text())
    assert wheel and wheel == pin.findall((ROOT / "tools" / "tritonserver" / "requirements.txt").read_text())
    values = yaml.safe_load((ROOT / "charts" / "platform" / "airflow.yaml").read_text())
    airflow = values["airflowVersion"]
    assert f"ARG BASE=docker.io/apache/airflow:{airflow}-python" in (ROOT / "docker/airflow/Dockerfile").read_text()
    assert f"\napache-airflow=={airflow}\n" in (ROOT / "requirements.txt").read_text()
    # The image holds what the sandbox and the tests have, in the same versions, and what only a cluster needs.
    ours, image = (
        {line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")}
        for name in ("requirements.txt", "docker/airflow/requirements.txt")
    )
    assert ours < image
    bases = {rest for name in BASES for kind, rest in instructions(base_folder(name) / "Dockerfile") if kind == "ARG"}
    python = re.search(r"^ARG (BASE=\S+)", trainer, re.MULTILINE)
    assert python is not None and python[1] in bases, "the stand-in for kind is built on the trainer's base"


def test_the_gpu_variant_of_triton_changes_one_line() -> None:
    """The same version of ONNX Runtime in its build for CUDA."""
    text = (ROOT / "docker" / "triton" / "requirements.txt").read_text()
    assert len(re.findall(r"^onnxruntime==", text, re.MULTILINE)) == 1
    assert "s/^onnxruntime==/onnxruntime-gpu==/" in (ROOT / "docker" / "triton" / "Dockerfile").read_text()
