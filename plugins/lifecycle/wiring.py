"""From a dataset to a detector that answers requests: train, evaluate, register, promote by one commit, verify."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import TriggerRule, chain, dag
from lifecycle import params
from lifecycle.model.names import RESTORE, WAIT_FOR_ROLLOUT
from lifecycle.operators.approval import approvals
from lifecycle.operators.pods import trainer_pods
from lifecycle.operators.restore import RestoreOperator
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.settings import settings
from lifecycle.tasks.defaults import default_args
from lifecycle.tasks.lifecycle import gate, open_run, promote, register
from lifecycle.tasks.serving import set_champion, verify_serving

DOC = """
### yolo_lifecycle

Trains a YOLO detector and puts it live: `prepare`, `train` and `evaluate` run as pods, `register` makes the version in
MLflow, `promote` writes it into `argocd-apps/<environment>/<app>/values.yaml` by **one commit**, Argo CD rolls it
out, and `verify_serving` asks Triton itself which version answers and whether its boxes are right.

A candidate below the least mAP50, or worse than the live version, is not promoted: the run ends with skipped tasks.
A rollout that fails is taken back by `restore`, and the run fails. To go back by hand: `yolo_rollback`.
"""


@dag(
    dag_id="yolo_lifecycle",
    description="Dataset → training → evaluation → registered version → one commit → rollout → proof",
    doc_md=DOC,
    schedule=settings().schedule or None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=settings().max_active_runs,
    tags=["yolo", "training", "gitops"],
    params=params.lifecycle(),
    default_args=default_args(retries=2),
)
def yolo_lifecycle() -> None:
    """Wire the tasks."""
    opened: Any = open_run()
    registered: Any = register(opened)
    promoted: Any = promote(registered)
    rollout = ApplicationRolloutSensor(
        task_id=WAIT_FOR_ROLLOUT,
        **params.TARGET,
        commit=promoted["commit"],
        version=registered["version"],
        request_url=promoted["request_url"],
    )
    served: Any = verify_serving.override(retries=4)(registered)
    restore = RestoreOperator(
        task_id=RESTORE,
        **params.TARGET,
        registered_model="{{ params.registered_model }}",
        trigger_rule=TriggerRule.ONE_FAILED,
    )
    pods = trainer_pods(settings(), run_id=opened["run_id"])
    chain(*pods, gate(opened), registered, *approvals(settings()), promoted, rollout, served)
    rolled: Any = rollout.output
    set_champion.override(retries=4)("{{ params.registered_model }}", served, rolled)
    [rollout, served] >> restore


yolo_lifecycle()
