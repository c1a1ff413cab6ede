"""Ends the MLflow run of a DAG run that ended without its task `close_run`.

A person may mark a DAG run as failed or as a success: Airflow then skips every task that has not begun, and runs no
callback of the DAG; it tells only listeners, in the API server. Or a person clears a task without those that follow it:
the task sets the MLflow run to RUNNING, and the DAG run ends, in the scheduler, with the `close_run` of before.

Neither process is kept waiting, and neither imports MLflow: a program apart asks it (`lifecycle.listeners.close`). If
MLflow is down just then, the next run's `open_run` ends what was left.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl
from sqlalchemy.orm import object_session

from lifecycle.model.names import CLOSE_RUN
from lifecycle.policy.outcome import Outcome, State, Task, end_unseen

if TYPE_CHECKING:
    from airflow.models import DagRun

log = logging.getLogger(__name__)

PLUGINS = Path(__file__).parents[2]
LIMIT = 300  # seconds


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """End the MLflow run where `close_run` did not."""
    _ended(dag_run, "failed")


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """End the MLflow run where `close_run` did not."""
    _ended(dag_run, "success")


def _ended(dag_run: DagRun, state: State) -> None:
    ended = _unseen(dag_run, state)
    if ended is not None:
        arguments = (str(dag_run.dag_id), str(dag_run.run_id), ended)
        threading.Thread(target=_close, args=arguments, name="close-mlflow-run", daemon=True).start()


def _unseen(dag_run: DagRun, state: State) -> Outcome | None:
    """How the DAG run ended, where its `close_run` does not know; None: it does, or there is no such task."""
    session = object_session(dag_run)
    if session is None or dag_run.get_task_instance(CLOSE_RUN, session=session) is None:
        return None
    instances = dag_run.get_task_instances(session=session)
    return end_unseen({each.task_id: Task(each.state, each.start_date, each.end_date) for each in instances}, state)


def _close(dag_id: str, run_id: str, ended: Outcome) -> None:
    command = [sys.executable, "-m", "lifecycle.listeners.close", dag_id, run_id, ended.status, ended.text]
    try:
        done = subprocess.run(
            command,
            cwd=PLUGINS,  # from where Python finds this package
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or "").strip()[-2000:]
        log.error(
            "The MLflow run of %s/%s is not ended; the next run's open_run will do it: %s %s",
            *(dag_id, run_id, error, said),
        )
        return
    log.info("%s", done.stdout.strip().rpartition("\n")[2])
