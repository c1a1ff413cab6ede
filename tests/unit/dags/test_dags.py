"""What holds for every DAG, and how a pipeline's is wired."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from lifecycle.tasks.retry_policy import RetryTransientFailures

from tests.support.airflow_environment import ROOT
from tests.unit.dags.conftest import Load

DAGS = sorted(path.stem for path in (ROOT / "dags").rglob("*.py"))
ORDER = [
    *("open_run", "prepare", "find_changes", "train", "evaluate", "gate", "register"),
    *("promote", "wait_for_rollout", "verify_serving", "set_alias"),
]
PODS = ("prepare", "train", "evaluate")


@pytest.fixture(params=DAGS)
def any_dag(request: pytest.FixtureRequest, load: Load) -> Any:
    return load()[request.param]


@pytest.fixture
def lifecycle(load: Load) -> Any:
    return load()["digits"]


def test_there_is_one_dag_a_file(load: Load) -> None:
    assert sorted(load()) == DAGS


def test_dag_has_owner_tags_and_documentation(any_dag: Any) -> None:
    assert any_dag.tags
    assert any_dag.description
    assert any_dag.doc_md and f"### {any_dag.dag_id}" in any_dag.doc_md
    assert {task.owner for task in any_dag.tasks} == {"yolo-lifecycle"}


def test_every_task_is_documented_limited_and_retried_where_that_helps(any_dag: Any) -> None:
    for task in any_dag.tasks:
        assert task.doc_md, task.task_id
        assert task.retries >= 1, task.task_id
        assert task.retry_exponential_backoff, task.task_id
        assert isinstance(task.retry_policy, RetryTransientFailures), task.task_id


def test_dag_does_not_run_by_itself_unless_its_file_says_so(any_dag: Any) -> None:
    assert any_dag.schedule is None
    assert not any_dag.catchup


def test_dag_survives_serialization(any_dag: Any) -> None:
    restored = DagSerialization.from_dict(DagSerialization.to_dict(any_dag))
    assert set(restored.task_dict) == set(any_dag.task_dict)


def test_every_parameter_is_typed_described_and_in_a_section(any_dag: Any) -> None:
    for name in any_dag.params:
        param = any_dag.params.get_param(name)
        assert param.description, name
        assert {"type", "title", "section"} <= set(param.schema), name


def test_defaults_are_valid(any_dag: Any) -> None:
    any_dag.params.validate()


def test_tasks_follow_each_other(lifecycle: Any) -> None:
    assert [task.task_id for task in lifecycle.topological_sort() if task.task_id in ORDER] == ORDER
    assert set(lifecycle.task_dict) == {*ORDER, "restore", "close_run"}
    for before, after in pairwise(ORDER):
        assert before in lifecycle.get_task(after).upstream_task_ids, after


def test_restore_runs_only_after_a_failure_of_rollout_or_proof(lifecycle: Any) -> None:
    restore = lifecycle.get_task("restore")
    assert restore.trigger_rule == "one_failed"
    assert restore.upstream_task_ids == {"wait_for_rollout", "verify_serving"}


CANDIDATE = ["commit_candidate", "wait_for_candidate", "prove_candidate"]


def test_setting_proves_a_candidate_before_it_goes_live(load: Load) -> None:
    dag = load(PROOF="candidate", REQUIRE_APPROVAL="true")["digits"]
    order = ["register", "approve", *CANDIDATE, "promote", "wait_for_rollout"]
    assert [task.task_id for task in dag.topological_sort() if task.task_id in order] == order
    for before, after in pairwise(order):
        assert before in dag.get_task(after).upstream_task_ids, after
    discard = dag.get_task("discard_candidate")
    assert discard.trigger_rule == "one_failed"
    assert discard.upstream_task_ids == {"wait_for_candidate", "prove_candidate", "promote"}
    for name in (*CANDIDATE, "discard_candidate"):
        task = dag.get_task(name)
        assert task.doc_md and task.retries >= 1 and isinstance(task.retry_policy, RetryTransientFailures)
    restored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(restored.task_dict) == set(dag.task_dict)


@pytest.mark.parametrize("proof", ["after", "candidate"])
def test_the_last_task_ends_the_mlflow_run_whatever_happened_and_alone_decides_the_state_of_the_dag_run(
    load: Load, proof: str
) -> None:
    dag = load(PROOF=proof)["digits"]
    assert dag.get_task("close_run").trigger_rule == "all_done"
    assert [task.task_id for task in dag.leaves] == ["close_run"]
    assert not dag.teardowns, "with a pending teardown, Airflow does not mark a queued run as failed"


def test_setting_puts_a_person_between_version_and_commit(load: Load) -> None:
    dag = load(REQUIRE_APPROVAL="true")["digits"]
    approve = dag.get_task("approve")
    assert (approve.upstream_task_ids, approve.downstream_task_ids) == ({"register"}, {"promote"})
    assert approve.defaults == ["Reject"]
    assert (
        "register" not in dag.get_task("promote").upstream_task_ids
        or "approve" in dag.get_task("promote").upstream_task_ids
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", "many"),
        ("image_size", 100),
        ("batch", 0),
        ("min_map50", 1.5),
        ("max_regression", -0.1),
        ("device", "tpu"),
        ("device", "0,"),
        ("environment", ""),
        ("environment", "../production"),
        ("app", "Detector"),
        ("dataset", ""),
        ("hyperparameters", "lr0=1"),
        ("registered_model", "a b"),
    ],
)
def test_parameter_out_of_range_is_refused_by_its_name(lifecycle: Any, name: str, value: object) -> None:
    lifecycle.params.get_param(name).resolve()
    with pytest.raises(ParamValidationError):
        lifecycle.params.get_param(name).resolve(value)


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("step", PODS)
def test_pod_has_requests_limits_labels_and_no_privilege(lifecycle: Any, step: str) -> None:
    task = lifecycle.get_task(step)
    pod = task.build_pod_request_obj()
    container = pod.spec.containers[0]
    for kind in (container.resources.requests, container.resources.limits):
        assert {"cpu", "memory"} <= set(kind)
    assert pod.metadata.labels["app.kubernetes.io/component"] == step
    assert pod.metadata.namespace == "lifecycle"
    assert pod.spec.security_context.run_as_non_root
    assert container.security_context.allow_privilege_escalation is False
    assert container.security_context.capabilities.drop == ["ALL"]
    assert pod.spec.automount_service_account_token is False
    assert container.termination_message_policy == "FallbackToLogsOnError"
    assert [source.secret_ref.name for source in container.env_from] == ["mlflow"]
    assert pod.spec.active_deadline_seconds
    assert task.get_logs and task.durable and not task.deferrable and not task.log_pod_spec_on_failure


def test_workspace_is_the_claim_or_without_one_an_empty_folder(load: Load) -> None:
    claimed = load()["digits"].get_task("train").volumes[0]
    assert claimed.persistent_volume_claim.claim_name == "workspace"
    empty = load(WORKSPACE_CLAIM="")["digits"].get_task("train").volumes[0]
    assert empty.persistent_volume_claim is None and empty.empty_dir is not None


def test_setting_gives_the_training_gpus_and_not_the_preparation(load: Load) -> None:
    dag = load(TRAINER_GPUS="2")["digits"]
    assert dag.get_task("train").container_resources.limits["nvidia.com/gpu"] == "2"
    for step in ("prepare", "evaluate"):
        assert "nvidia.com/gpu" not in dag.get_task(step).container_resources.limits
    assert all("--gpus=2" in dag.get_task(step).arguments for step in PODS)
    sliced = load(TRAINER_GPUS="1", TRAINER_GPU_RESOURCE="nvidia.com/mig-1g.10gb")["digits"].get_task("train")
    assert sliced.container_resources.limits["nvidia.com/mig-1g.10gb"] == "1"


PLACED = {
    "POD_NODE_SELECTOR": '{"pool": "gpu"}',
    "POD_TOLERATIONS": '[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]',
    "POD_AFFINITY": '{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": '
    '[{"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["h100"]}]}]}}}',
    "POD_RUNTIME_CLASS": "nvidia",
    "POD_PRIORITY_CLASS": "training",
    "POD_IMAGE_PULL_SECRETS": '["registry"]',
    "POD_TEMPLATE": '{"metadata": {"annotations": {"team": "vision"}}, "spec": {"schedulerName": "batch", '
    '"containers": [{"name": "base", "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]}]}}',
    "WEIGHTS_URL": "https://mirror/weights",
}


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("access", ["ReadWriteOnce", "ReadWriteMany"])
@pytest.mark.parametrize("step", PODS)
def test_settings_say_where_pods_run_and_the_others_follow_the_training(load: Load, step: str, access: str) -> None:
    pod = load(**PLACED, WORKSPACE_ACCESS=access)["digits"].get_task(step).build_pod_request_obj()
    spec = pod.spec
    placed = step == "train" or access == "ReadWriteOnce"
    assert spec.node_selector == ({"pool": "gpu"} if placed else {})
    assert spec.runtime_class_name == ("nvidia" if placed else None)
    assert [toleration.key for toleration in spec.tolerations] == (["nvidia.com/gpu"] if placed else [])
    if placed:
        terms = spec.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms
        assert terms[0].match_expressions[0].values == ["h100"]
    assert spec.priority_class_name == "training"
    assert [secret.name for secret in spec.image_pull_secrets] == ["registry"]
    assert (pod.metadata.annotations["team"], spec.scheduler_name) == ("vision", "batch")
    assert pod.metadata.labels["app.kubernetes.io/component"] == step
    container = spec.containers[0]
    variables = {variable.name: variable.value for variable in container.env}
    assert variables["HTTPS_PROXY"] == "http://proxy:3128"
    assert variables["YOLO_WEIGHTS_URL"] == "https://mirror/weights"
    assert container.command == ["python", "-m", "trainer", step]
    assert container.security_context.capabilities.drop == ["ALL"]


def test_no_environment_variable_is_read_outside_the_settings() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("dags", "plugins/lifecycle")
        for path in (ROOT / folder).rglob("*.py")
        if "getenv" in path.read_text() or "os.environ" in path.read_text()
    ]
    # The hook only sets, for the length of a call, what MLflow's client takes from nowhere else.
    assert readers == ["plugins/lifecycle/hooks/mlflow.py"]


# What Airflow itself and the settings bring; anything else would be loaded every time that a DAG file is read.
LIGHT = {
    "airflow",
    "argparse",
    "croniter",
    "dotenv",
    "lifecycle",
    "packaging",
    "pydantic",
    "pydantic_settings",
    "ruamel",
}


def test_imports_load_little_more_than_the_pod_operator() -> None:
    files = [str(next((ROOT / "dags").rglob(f"{name}.py"))) for name in DAGS]
    script = (
        "import sys, runpy, airflow.sdk, airflow.providers.cncf.kubernetes.operators.pod\n"
        "import airflow.providers.standard.operators.hitl\n"
        f"for file in {files!r}:\n"
        "    before = set(sys.modules); runpy.run_path(file)\n"
        "    print('loaded', file, *{module.split('.')[0] for module in set(sys.modules) - before})"
    )
    variables = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("loaded ")]
    assert [file for file, *_ in lines] == files
    more = {file: set(modules) - set(sys.stdlib_module_names) - LIGHT for file, *modules in lines}
    assert not any(more.values()), more
