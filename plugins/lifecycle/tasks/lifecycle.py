"""The Python tasks of a pipeline's DAG up to the commit.

They return plain values (XCom), and leave everything else in MLflow and git, where a retry finds it again.
"""

from __future__ import annotations

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.model import names
from lifecycle.model.results import DeliveredCommit, OpenedRun, RegisteredVersion
from lifecycle.steps import handoff, judging, opening
from lifecycle.tasks import context
from lifecycle.tasks.candidate import own_candidate, take_away
from lifecycle.tasks.defaults import QUICK


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Checks the target in git, MLflow and Argo CD, and opens the run that the rest writes to.",
)
def open_run(kind: str) -> OpenedRun:
    """Check that the run can end well, and open its MLflow run, or set the one that it has to RUNNING again.

    Args:
        kind: the pipeline's `task`.

    Raises:
        BadParameter: the parameters name a model that git knows otherwise, that is served elsewhere, or that is served
            by another kind's template.
        RegistryError: MLflow lost the version that git pins, or cannot take what a run leaves in it.
    """
    return opening.open_run(
        context.lifecycle_params(),
        context.dag_run_ids(),
        task=kind,
        page=context.dag_run_page(),
        end_of=context.end_of_dag_run,
    )


@task.short_circuit(
    execution_timeout=QUICK,
    # The tasks that follow are skipped each by the one before, and `close_run` is not.
    ignore_downstream_trigger_rules=False,
    doc_md="Skips everything after it if the candidate is not good enough, and says by how much.",
)
def gate(opened: OpenedRun) -> str | None:
    """Compare what `evaluate` measured with what was asked; the reason, or None to stop here."""
    decision = judging.judge(context.lifecycle_params(), opened)
    context.task_instance().xcom_push(key=names.DECISION_KEY, value=decision)
    return decision["reason"] if decision["passed"] else None


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Registers the candidate in MLflow: one version per DAG run, however often tried.",
)
def register(opened: OpenedRun) -> RegisteredVersion:
    """Register the candidate once per DAG run."""
    return judging.register(context.lifecycle_params(), opened, page=context.dag_run_page())


@task(
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Writes version, sha256, run id and the commit of the code that serves into the values file: one commit.",
)
def promote(registered: RegisteredVersion, delivery: str = "") -> DeliveredCommit:
    """Commit the version's pin; skip what follows if a newer version or a hold is in its way.

    The code is the newest of the branch, or what this run's candidate was proved with.
    `delivery`: how the stage has its commits delivered; empty: as the setting says.
    """
    wanted = context.lifecycle_params()["registered_model"]
    promoted = handoff.promote(
        context.target(),
        wanted,
        registered,
        dag_run=context.dag_run_name(),
        classes=context.class_change(),
        delivery=delivery,
        candidate=own_candidate(),
    )
    if promoted["outcome"] not in handoff.CONTINUES:
        context.task_instance().xcom_push(key="return_value", value=promoted)
        take_away(delivery)
        raise AirflowSkipException(f"Nothing was committed ({promoted['outcome']}): {promoted['detail']}")
    return promoted
