"""What a task asks Airflow about the run that it is part of, with types."""

from __future__ import annotations

from typing import Any, cast

from airflow.sdk import get_current_context

from lifecycle.model import names
from lifecycle.model.results import GateDecision, LifecycleParams, RollbackParams, TargetParams
from lifecycle.model.target import Target


def lifecycle_params() -> LifecycleParams:
    """The run's params, in a task of a pipeline's DAG; Airflow has checked them against `lifecycle.params`."""
    return cast(LifecycleParams, get_current_context()["params"])


def rollback_params() -> RollbackParams:
    """The run's params, in a task of `yolo_rollback`."""
    return cast(RollbackParams, get_current_context()["params"])


def target() -> Target:
    """The served model that the run is about, in a task of either DAG."""
    chosen = cast(TargetParams, get_current_context()["params"])
    return Target(chosen["environment"], chosen["app"], chosen["served_model"])


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


def task_instance() -> Any:
    """The running task instance: XCom goes through it."""
    return get_current_context()["ti"]
