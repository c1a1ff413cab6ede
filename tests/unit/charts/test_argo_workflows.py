"""`workflows/`: objects of Argo Workflows against its types, restricted, with the commands of the DAG's pods."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle.cli import steps
from lifecycle.errors import BadPipeline
from lifecycle.settings import Settings
from lifecycle.workflows import objects
from lifecycle.workflows.pods import TRAINER_OUTPUTS

from cluster.settings import load
from tests.contracts.sources import TRAINER, constant
from tests.schemas.argocd import install
from tests.support import kubernetes_schemas
from tests.support.paths import ROOT
from tests.support.pipelines import letters, write
from tests.unit.argocd_apps.test_platform_manifests import render
from tests.unit.charts.test_triton_policy import problems

Object = dict[str, Any]
FOLDER = ROOT / "workflows"
DIGITS = ROOT / "dags" / "pipelines" / "digits.yaml"
PODS = ("prepare", "train", "evaluate")
IMAGES: dict[str, Any] = {
    "trainer_image": "ghcr.io/your-org/yolo-trainer:0.1.0",
    "workflow_image": "ghcr.io/your-org/yolo-lifecycle:0.1.0",
}
GPU: dict[str, Any] = {
    "trainer_gpus": 2,
    "require_approval": True,
    "workflow_client_image": "ghcr.io/your-org/yolo-client:0.1.0",
    "gitops_delivery": "gitea",
    "pod_runtime_class": "nvidia",
    "pod_node_selector": {"gpu": "true"},
    "pod_tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "pod_priority_class": "training",
    "pod_image_pull_secrets": ["registry"],
    "pod_template": {"metadata": {"labels": {"team": "vision"}}, "spec": {"containers": [{"name": "base"}]}},
}


@pytest.fixture(scope="module")
def check() -> Callable[[list[Object]], list[list[str]]]:
    """What Argo Workflows' types say of each object: nothing, or what is wrong."""
    folder = install.ensure()

    def run(manifests: list[Object]) -> list[list[str]]:
        command = [install.program("node"), str(install.HERE / "check.mjs"), str(folder)]
        done = subprocess.run(command, input=json.dumps(manifests), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Of a pipeline that has a schedule, for GPUs, with an approval and merge requests."""
    folder = tmp_path_factory.mktemp("pipelines")
    stages = [{"environment": "staging", "app": "detector", "model": "letters"}]
    write(folder, "letters", letters(run={"schedule": "0 3 * * 0", "timezone": "Europe/Berlin"}, stages=stages))
    return objects(folder / "letters.yaml", Settings(**IMAGES, **GPU))


def digits() -> list[Object]:
    return objects(DIGITS, Settings(**IMAGES))


def templates(template: Object) -> dict[str, Object]:
    return {each["name"]: each for each in template["spec"]["templates"]}


def pod_of(template: Object, step: Object) -> Object:
    """The pod that the controller makes of a step, without its own containers."""
    spec = template["spec"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": step["name"], **step["metadata"]},
        "spec": {
            "securityContext": spec["securityContext"],
            "volumes": spec["volumes"],
            "serviceAccountName": step.get("serviceAccountName", spec["serviceAccountName"]),
            "automountServiceAccountToken": step.get(
                "automountServiceAccountToken", spec["automountServiceAccountToken"]
            ),
            "activeDeadlineSeconds": step["activeDeadlineSeconds"],
            **{key: step[key] for key in ("nodeSelector", "tolerations", "affinity") if key in step},
            "containers": [{"name": "main", **step["container"]}],
        },
    }


def test_what_is_in_git_is_what_the_command_prints() -> None:
    path = f"{ROOT / 'plugins'}:{ROOT / 'clients' / 'python'}"
    variables = {key: value for key, value in os.environ.items() if not key.startswith("LIFECYCLE_")}
    variables |= {f"LIFECYCLE_{name.upper()}": value for name, value in IMAGES.items()}
    command = [sys.executable, "-m", "lifecycle", "workflow", str(DIGITS)]
    done = subprocess.run(command, env=variables | {"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == (FOLDER / "digits.yaml").read_text(), "see docs/workflows.md for the command"
    assert list(yaml.safe_load_all(done.stdout)) == digits()


def test_every_object_is_as_argo_workflows_defines_it(check: Any, scheduled: list[Object]) -> None:
    assert [each["kind"] for each in (*digits(), *scheduled)] == [
        "WorkflowTemplate",
        "WorkflowTemplate",
        "CronWorkflow",
    ]
    assert check([*digits(), *scheduled]) == [[], [], []]
    wrong = copy.deepcopy(digits()[0])
    templates(wrong)["train"]["retryStrategy"]["limits"] = 2
    assert check([wrong]) == [[".spec.templates.4.retryStrategy.limits: unknown field"]]
    cron = scheduled[1]["spec"]
    assert (cron["schedules"], cron["timezone"], cron["concurrencyPolicy"]) == (
        ["0 3 * * 0"],
        "Europe/Berlin",
        "Forbid",
    )


def test_whoever_approves_sees_what_it_is_about(scheduled: list[Object]) -> None:
    found = templates(scheduled[0])
    tasks = {task["name"]: task for task in found["pipeline"]["dag"]["tasks"]}
    given = {each["name"]: each["value"] for each in tasks["approve"]["arguments"]["parameters"]}
    assert list(given) == ["version", "live_version", "figures"]
    assert [each["name"] for each in found["approve"]["inputs"]["parameters"]] == list(given)
    assert "approve" not in templates(digits()[0])


def test_a_task_is_given_what_a_step_before_it_leaves(scheduled: list[Object]) -> None:
    """As Argo's own lint says; it refuses the whole workflow otherwise."""
    found = templates(scheduled[0])
    before: list[str] = []
    for task in found["pipeline"]["dag"]["tasks"]:
        for step, name in re.findall(r"\{\{tasks\.(\w+)\.outputs\.parameters\.(\w+)\}\}", json.dumps(task)):
            left = [each["name"] for each in found[step]["outputs"]["parameters"]]
            assert step in before and name in left, f"{task['name']}: {step}.{name}"
        before.append(task["name"])


def test_every_pod_is_valid_and_restricted(scheduled: list[Object]) -> None:
    for template in (digits()[0], scheduled[0]):
        for step in template["spec"]["templates"]:
            if "container" in step:
                pod = pod_of(template, step)
                kubernetes_schemas.validate(pod, "1.34")
                token = ["the token of the ServiceAccount is mounted"] if step["name"] in steps.STEPS else []
                assert list(problems(pod)) == token


def test_gpus_and_what_is_set_for_pods_reach_them(scheduled: list[Object]) -> None:
    spec, found = scheduled[0]["spec"], templates(scheduled[0])
    train, evaluate = found["train"], found["evaluate"]
    assert train["container"]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert "--gpus=2" in train["container"]["args"] and "--gpus=2" in evaluate["container"]["args"]
    assert "nvidia.com/gpu" not in evaluate["container"]["resources"]["limits"]
    assert train["nodeSelector"] == found["open"]["nodeSelector"] == {"gpu": "true"}, "they share a claim"
    assert json.loads(train["podSpecPatch"]) == {"containers": [{"name": "main"}], "runtimeClassName": "nvidia"}
    assert train["metadata"]["labels"]["team"] == "vision"
    assert (spec["podPriorityClassName"], spec["imagePullSecrets"]) == ("training", [{"name": "registry"}])
    assert found["approve"]["suspend"] == {}
    order = [task["name"] for task in found["pipeline"]["dag"]["tasks"]]
    assert (order[order.index("approve") + 1], order[-2:]) == ("promote", ["champion", "client"])
    assert found["wait"]["activeDeadlineSeconds"] > Settings().merge_timeout


def test_pods_have_the_options_that_the_dags_have_and_leave_the_files_that_the_trainer_writes() -> None:
    from lifecycle.operators.pods import OPTIONS

    found = templates(digits()[0])
    for step in PODS:
        names = [argument.partition("=")[0] for argument in found[step]["container"]["args"]]
        dag = [argument.partition("=")[0] for argument in OPTIONS]
        assert sorted(names) == sorted([*dag, "--task", "--gpus", "--workspace", "--outputs"])
        assert found[step]["container"]["command"] == ["python", "-m", "trainer", step]
    written: dict[str, tuple[str, ...]] = constant(TRAINER / "outputs.py", "TAGS")
    figures = constant(TRAINER / "outputs.py", "FIGURES")
    assert {**written, "evaluate": (figures,)} == TRAINER_OUTPUTS
    # Each other step is one of the command line's, and none of these is left out.
    others = {name for name, each in found.items() if "container" in each} - set(PODS)
    assert others == set(steps.STEPS)


def test_a_classifier_s_workflow_has_its_task_and_its_gate(tmp_path: Path) -> None:
    write(tmp_path, "letters", letters(task="classify", train__model="resnet18", gate__min_top1=0.95))
    (template,) = objects(tmp_path / "letters.yaml", Settings(**IMAGES))
    parameters = {each["name"]: each["value"] for each in template["spec"]["arguments"]["parameters"]}
    assert parameters["min_top1"] == "0.95" and "min_map50" not in parameters
    for step in PODS:
        assert "--task=classify" in templates(template)[step]["container"]["args"]


def test_accounts_may_do_what_they_need_and_no_more() -> None:
    foundation = render("foundation", {"workflows": {"enabled": True}})
    settings = Settings()
    bound: dict[str, set[tuple[str, str]]] = {}
    for binding in foundation:
        if binding["kind"] == "RoleBinding":
            for subject in binding["subjects"]:
                role = (binding["metadata"]["namespace"], binding["roleRef"]["name"])
                bound.setdefault(subject["name"], set()).add(role)
    assert bound[settings.workflow_executor] == {("lifecycle", "workflow-executor")}
    assert bound[settings.workflow_account] == {
        ("argocd", "airflow-applications"),
        *((environment, "airflow-reads-serving") for environment in load().served),
    }
    (rule,) = next(
        role["rules"]
        for role in foundation
        if role["kind"] == "Role" and role["metadata"]["name"] == "workflow-executor"
    )
    assert (rule["resources"], rule["verbs"]) == (["workflowtaskresults"], ["create", "patch"])
    made = {(each["kind"], each["metadata"]["name"]) for each in foundation}
    for account in (settings.workflow_account, settings.workflow_executor):
        assert ("ServiceAccount", account) in made
    # By this name the controller looks for it.
    assert ("Secret", f"{settings.workflow_executor}.service-account-token") in made
    policy = next(each for each in foundation if each["kind"] == "ValidatingAdmissionPolicy")
    who = policy["spec"]["matchConditions"][0]["expression"]
    assert f'== "system:serviceaccount:lifecycle:{settings.workflow_account}"' in who
    for each in foundation:
        kubernetes_schemas.validate(each, "1.34")

    spec, found = digits()[0]["spec"], templates(digits()[0])
    assert (spec["automountServiceAccountToken"], spec["executor"]) == (
        False,
        {"serviceAccountName": settings.workflow_executor},
    )
    with_token = {name for name, each in found.items() if each.get("automountServiceAccountToken")}
    assert with_token == set(steps.STEPS)
    assert {found[name]["serviceAccountName"] for name in with_token} == {settings.workflow_account}
    assert not [each for each in render("foundation") if "workflow" in each["metadata"]["name"]]


def test_the_controller_s_own_containers_pass_the_restricted_standard() -> None:
    content = yaml.safe_load((FOLDER / "controller.yaml").read_text())
    executor = yaml.safe_load(content["data"]["executor"])
    pod = {
        "securityContext": digits()[0]["spec"]["securityContext"],
        "automountServiceAccountToken": False,
        "containers": [{"name": "wait", "image": "quay.io/argoproj/argoexec:v4.1.2", **executor}],
    }
    assert not list(problems({"spec": pod}))
    for name in ("controller.yaml", "settings.yaml"):
        kubernetes_schemas.validate(yaml.safe_load((FOLDER / name).read_text()), "1.34")
    given = yaml.safe_load((FOLDER / "settings.yaml").read_text())["data"]
    known = {f"LIFECYCLE_{name.upper()}" for name in Settings.model_fields}
    assert set(given) <= known


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"stages": [{"environment": "s", "app": "a", "model": "m", "proof": "candidate"}]},
            "stages[0].proof: candidate",
        ),
        ({"run": {"on_dataset_change": "15m"}}, "run.on_dataset_change"),
        (
            {
                "stages": [
                    {"environment": "s", "app": "a", "model": "m"},
                    {"environment": "p", "app": "a", "model": "m", "by": "auto"},
                ]
            },
            "stages[1].by: auto",
        ),
    ],
)
def test_what_only_the_dag_does_is_refused(changes: Object, said: str, tmp_path: Path) -> None:
    write(tmp_path, "letters", letters(**changes))
    with pytest.raises(BadPipeline) as refused:
        objects(tmp_path / "letters.yaml", Settings())
    assert "letters.yaml: a workflow does not do " in str(refused.value) and said in str(refused.value)
