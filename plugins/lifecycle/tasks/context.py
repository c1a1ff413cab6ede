"""What a task asks Airflow about the run that it is part of, with types."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf

from lifecycle.model import names
from lifecycle.model.results import (
    CodeParams,
    GateDecision,
    LifecycleParams,
    PromoteParams,
    RollbackParams,
    TargetParams,
)
from lifecycle.model.target import Target
from lifecycle.policy.outcome import DELETED, Outcome


def lifecycle_params() -> LifecycleParams:
    """The run's params, in a task of a pipeline's DAG; Airflow has checked them against `lifecycle.params`."""
    return cast(LifecycleParams, get_current_context()["params"])


def rollback_params() -> RollbackParams:
    """The run's params, in a task of `yolo_rollback`."""
    return cast(RollbackParams, get_current_context()["params"])


def promote_params() -> PromoteParams:
    """The run's params, in a task of `yolo_promote`."""
    return cast(PromoteParams, get_current_context()["params"])


def code_params() -> CodeParams:
    """The run's params, in a task of `yolo_release_code`."""
    return cast(CodeParams, get_current_context()["params"])


def target(where: TargetParams | None = None) -> Target:
    """The served model of a stage after the first (`where`), or the one that the run's params name."""
    return Target.of(where or cast(TargetParams, get_current_context()["params"]))


def dag_run_ids() -> tuple[str, str]:
    """DAG id and run id."""
    run: Any = get_current_context()["dag_run"]
    return str(run.dag_id), str(run.run_id)


def dag_run_name() -> str:
    """`<dag id>/<run id>`, as commits and versions name the run."""
    return "/".join(dag_run_ids())


def class_change() -> str:
    """Which classes come and go with this run's version, as `gate` has found; empty: none."""
    decision = cast(GateDecision | None, task_instance().xcom_pull(task_ids=names.GATE_TASK, key=names.DECISION_KEY))
    return decision["classes"] if decision else ""


def dag_run_page() -> str:
    """The address of the run's page; empty where Airflow was not told its own (`[api] base_url`)."""
    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    dag_id, run_id = dag_run_ids()
    return f"{base}/dags/{dag_id}/runs/{quote(run_id)}" if base else ""


def task_states() -> dict[str, str | None]:
    """The states of the run's tasks, by task id."""
    dag_id, run_id = dag_run_ids()
    states: dict[str, str | None] = task_instance().get_task_states(dag_id=dag_id, run_ids=[run_id])[run_id]
    return states


def end_of_dag_run(run_id: str) -> Outcome | None:
    """How another run of this DAG ended; None: it has not."""
    dag_id, _ = dag_run_ids()

    def is_in(*states: str) -> bool:
        return bool(task_instance().get_dr_count(dag_id=dag_id, run_ids=[run_id], states=list(states)))

    if is_in("queued", "running"):
        return None
    if is_in("success"):
        return Outcome("FINISHED", "success")
    return Outcome("FAILED", "failed") if is_in("failed") else Outcome("KILLED", DELETED)


def task_instance() -> Any:
    """The running task instance: XCom goes through it."""
    return get_current_context()["ti"]
