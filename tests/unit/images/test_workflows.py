"""The workflows cannot run here; what can be known of them without running is checked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import configure
from cluster.local import BUILDS
from cluster.settings import load
from tests.unit.images.conftest import ROOT
from tools.images.catalogue import IMAGES, base_folder
from tools.parts import SUITES

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
# Who may write what; everything else only reads the code.
WRITES = {("images", "publish"): {"packages"}, ("kind", "end-to-end"): {"contents"}}


def read(path: Path) -> dict[Any, Any]:
    """A workflow or an action."""
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(workflow, job's id, job) of all workflows."""
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


def steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps of a workflow's jobs, or of an action."""
    if "runs" in content:
        return list(content["runs"]["steps"])
    return [step for job in content["jobs"].values() for step in job["steps"]]


ALL = [pytest.param(path, id=str(path.relative_to(ROOT / ".github"))) for path in [*WORKFLOWS, *ACTIONS]]
JOBS = [pytest.param(workflow, name, job, id=f"{workflow}/{name}") for workflow, name, job in jobs()]


def test_there_is_one_for_each_of_tests_long_forms_images_charts_and_kind() -> None:
    assert [path.stem for path in WORKFLOWS] == ["charts", "images", "kind", "soak", "test"]


@pytest.mark.parametrize("path", ALL)
def test_every_action_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    used = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert len(used) == len([step for step in steps(read(path)) if "uses" in step])
    for line in used:
        local = re.fullmatch(r"uses: \./(\S+)", line)
        if local:
            assert (ROOT / local[1] / "action.yml").is_file()
        else:
            assert re.fullmatch(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_the_same_commit_everywhere() -> None:
    text = "\n".join(path.read_text() for path in [*WORKFLOWS, *ACTIONS])
    pins: dict[str, set[str]] = {}
    for name, pin in re.findall(r"uses: ([\w./-]+)@(.+)", text):
        pins.setdefault(name, set()).add(pin)
    assert {name for name, found in pins.items() if len(found) > 1} == set()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_no_rights_by_itself_and_does_not_run_twice_at_once(path: Path) -> None:
    content = read(path)
    assert content["permissions"] == {}
    assert content["concurrency"]["group"]
    # YAML reads `on` as true. pull_request_target would run a stranger's code with our rights.
    assert "pull_request_target" not in content[True]


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_a_job_has_a_time_limit_and_the_least_rights(workflow: str, name: str, job: dict[str, Any]) -> None:
    assert 0 < job["timeout-minutes"] <= 120
    writes = {scope for scope, right in job["permissions"].items() if right != "read"}
    assert writes == WRITES.get((workflow, name), set())
    if writes:
        assert job.get("if") == "github.event_name == 'push'" or "pull_request" not in read_trigger(workflow)


def read_trigger(workflow: str) -> dict[str, Any]:
    """What starts a workflow."""
    found = read(ROOT / ".github" / "workflows" / f"{workflow}.yml")[True]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", ALL)
def test_checkout_leaves_no_token_behind(path: Path) -> None:
    for step in steps(read(path)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", ALL)
def test_no_script_has_an_expression_in_it(path: Path) -> None:
    """GitHub would put a branch's or a title's text into the script before the shell reads it."""
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_every_make_target_and_path_that_a_job_runs_exists(workflow: str, name: str, job: dict[str, Any]) -> None:
    makefiles = (ROOT / "Makefile").read_text() + (ROOT / "cluster" / "cluster.mk").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", makefiles, re.MULTILINE))
    scripts = "\n".join(step.get("run", "") for step in job["steps"])
    called = re.findall(r"^\s*make ([a-z0-9 -]+)$", scripts, re.MULTILINE)
    if "make $TARGETS" in scripts:
        called += job["strategy"]["matrix"]["targets"]
    assert {target for words in called for target in words.split()} <= targets
    for path in re.findall(r"(?<![\w./-])((?:\.github|docker|tests)/[\w./-]+)", scripts):
        assert (ROOT / path).exists(), path
        if path.endswith(".sh"):
            assert os.access(ROOT / path, os.X_OK), path


def test_every_part_of_make_test_runs_with_both_builds_of_torch() -> None:
    matrix = read(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["make"]["strategy"]["matrix"]
    assert sorted(" ".join(matrix["targets"]).split()) == sorted({"lint", "types", *SUITES, "test-extended"})
    # The package index has the CUDA build, PyTorch's own the one for processors.
    assert matrix["torch"] == ["cpu", "cu130"]


def test_the_long_forms_run_every_night() -> None:
    trigger = read_trigger("soak")["schedule"]
    assert [len(entry["cron"].split()) for entry in trigger] == [5]
    job = read(ROOT / ".github" / "workflows" / "soak.yml")["jobs"]["soak"]
    assert "make soak" in [step.get("run") for step in job["steps"]]


@pytest.mark.parametrize("job", ["build", "publish"])
def test_every_image_is_built_in_every_variant(job: str) -> None:
    matrix = read(ROOT / ".github" / "workflows" / "images.yml")["jobs"][job]["strategy"]["matrix"]["include"]
    built = {(entry["image"], entry["variant"]) for entry in matrix}
    assert built == {(image.name, variant) for image in IMAGES for variant in image.variants}


def test_the_action_builds_in_each_image_s_own_context() -> None:
    _base, *builds = [
        step["with"] for step in steps(read(ACTIONS[0])) if step.get("uses", "").startswith("docker/build-push-action@")
    ]
    assert len(builds) == 2
    whole = {image.name for image in IMAGES if image.context == "."}
    for settings in builds:
        found = re.findall(r"contains\(fromJSON\('(\[.*?\])'\), inputs\.image\) && '\.'", settings["context"])
        assert [set(json.loads(names)) for names in found] == [whole]
        assert "format('docker/{0}', inputs.image)" in settings["context"]
    assert all(image.context == f"docker/{image.name}" for image in IMAGES if image.name not in whole)
    assert builds[1]["push"] is True and builds[1]["provenance"] == "mode=max"


def test_only_the_image_for_gpus_is_built_on_nvidia_s() -> None:
    steps = read(ROOT / ".github" / "actions" / "image" / "action.yml")["runs"]["steps"]
    builds = [step for step in steps if step.get("uses", "").startswith("docker/build-push-action@")]
    base, *images = builds
    assert ROOT / base["with"]["context"] == base_folder("triton")
    assert base["if"] == "inputs.image == 'triton' && inputs.variant == 'cpu'"
    name, folder = base["with"]["tags"].partition(":")[0], base["with"]["outputs"].split("dest=")[1].split(",")[0]
    assert len(images) == 2
    for step in images:
        assert f"{base['if']} && '{name}=oci-layout://{folder}:latest' ||" in step["with"]["build-contexts"]
        assert f"{base['if']} && 'BASE={name}' ||" in step["with"]["build-args"]


def test_kind_fills_in_the_settings_as_a_fork_does(tmp_path: Path) -> None:
    for name in (
        ".github",
        "argocd-apps",
        "charts/platform",
        "cluster",
        "docker",
        "tools",
        "Makefile",
        "pyproject.toml",
    ):
        copy_of(ROOT / name, tmp_path / name)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "as it is"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    variables = {"REPOSITORY_URL": "https://example.com/team/fork.git", "BRANCH": "kind-1-1", "TAG": "ci-1"}
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
    environment = {name: value for name, value in os.environ.items() if name not in outer} | variables
    script = tmp_path / ".github" / "kind" / "configure.sh"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = load(tmp_path / "cluster" / "settings.toml")
    assert settings.placeholders() == []
    assert settings.text("repository.url") == variables["REPOSITORY_URL"]
    assert settings.text("repository.branch") == "kind-1-1" and settings.on("repository.private")
    assert settings.served == ["staging"]
    assert configure.differences(settings, tmp_path) == []
    airflow = yaml.safe_load((tmp_path / "charts" / "platform" / "airflow.yaml").read_text())
    assert (airflow["defaultAirflowRepository"], airflow["defaultAirflowTag"]) == (
        "localhost/yolo/yolo-airflow",
        "ci-1",
    )
    status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    assert status.stdout == "", "everything is committed"


def copy_of(source: Path, target: Path) -> None:
    """A file or a folder, without what Python leaves there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*cache"))
    else:
        shutil.copy2(source, target)


def test_kind_uses_the_images_that_it_builds_and_the_cluster_that_it_makes() -> None:
    job = read(ROOT / ".github" / "workflows" / "kind.yml")["jobs"]["end-to-end"]
    text = "\n".join(step.get("run", "") for step in job["steps"])
    for name in BUILDS:
        assert f'"localhost/yolo/yolo-{name}:$TAG"' in text
    assert str(base_folder("triton").relative_to(ROOT)) in text
    made = next(step["with"] for step in job["steps"] if step.get("uses", "").startswith("helm/kind-action@"))
    assert (ROOT / made["config"]).is_file()
    assert f"--name {made['cluster_name']}" in text
    down = next(step for step in job["steps"] if step.get("run") == "make cluster-down")
    assert down["env"]["CONFIRM"] == f"kind-{made['cluster_name']}"
    demo = next(step for step in job["steps"] if step.get("run") == "make cluster-demo")
    assert "DEMO_PARAMS" not in demo.get("env", {}), "the demo's own parameters pass the gate; smaller ones did not"
