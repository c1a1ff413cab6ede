"""Ends the MLflow run of a DAG run that a person marks as failed or as a success.

Airflow then skips every task that has not begun, `close_run` with them, and runs no callback of the DAG; it only tells
listeners, in the API server. The request is not kept waiting: MLflow is asked in a thread. If MLflow is down just then,
the next run's `open_run` ends what was left.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Literal

from airflow.listeners import hookimpl
from sqlalchemy.orm import object_session

from lifecycle.errors import LifecycleError
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs
from lifecycle.model.names import CLOSE_RUN
from lifecycle.policy.outcome import set_by_hand

if TYPE_CHECKING:
    from airflow.models import DagRun

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Set the MLflow run to KILLED, where a person ended the DAG run."""
    _ended(dag_run, "failed")


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Set the MLflow run to FINISHED, where a person said that the DAG run is a success."""
    _ended(dag_run, "success")


def _ended(dag_run: DagRun, state: Literal["success", "failed"]) -> None:
    if not _skipped(dag_run):
        return
    arguments = (str(dag_run.dag_id), str(dag_run.run_id), state)
    threading.Thread(target=_close, args=arguments, name="close-mlflow-run", daemon=True).start()


def _skipped(dag_run: DagRun) -> bool:
    """Whether the DAG run has the task `close_run`, and it was skipped, which only a marked DAG run does."""
    session = object_session(dag_run)
    found = dag_run.get_task_instance(CLOSE_RUN, session=session) if session else None
    return found is not None and found.state == "skipped"


def _close(dag_id: str, run_id: str, state: Literal["success", "failed"]) -> None:
    ended = set_by_hand(state)
    try:
        with MlflowHook.from_settings().session() as client:
            found = runs.find(client, dag_id, run_id)
            if found:
                runs.close(client, found, ended)
                log.info("The MLflow run %s of %s is %s: %s", found, run_id, ended.status, ended.text)
    except LifecycleError:
        log.exception("The MLflow run of %s/%s is not ended; the next run's open_run will do it", dag_id, run_id)
