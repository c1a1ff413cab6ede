"""The last task of a pipeline's DAG: the MLflow run ends with the DAG run."""

from __future__ import annotations

from airflow.sdk import TriggerRule, task

from lifecycle.errors import RunFailed
from lifecycle.model import names
from lifecycle.policy.outcome import outcome
from lifecycle.steps import closing
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK


@task(
    execution_timeout=QUICK,
    retries=4,
    trigger_rule=TriggerRule.ALL_DONE,
    doc_md="Ends the MLflow run: FINISHED or FAILED. Fails if another task failed, so that the DAG run has failed too.",
)
def close_run() -> None:
    """Give the MLflow run the state that the DAG run ends in.

    No teardown task: a DAG run that a person marks as failed gets that state in Airflow 3.3 only where no teardown is
    pending. One that waits in the queue would stay there, and one that runs would end as a success. Where a person
    marks the DAG run, this task is skipped with the others, and `lifecycle.listeners.dag_runs` ends the MLflow run.

    Raises:
        RunFailed: another task failed. Airflow takes a DAG run's state from its last task, and this one always runs.
    """
    ended = outcome(context.task_states())
    opened = context.task_instance().xcom_pull(task_ids=names.OPEN_RUN)
    if opened:
        closing.close_run(opened, ended)
    if ended.status == "FAILED":
        which = f"The MLflow run {opened['run_id']} is FAILED as well." if opened else "It opened no MLflow run."
        raise RunFailed(f"This DAG run {ended.text}: see the log of that task, and clear it to continue. {which}")
