"""From a dataset to a detector that answers requests: train, evaluate, register, promote by one commit, verify."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import TriggerRule, chain, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from lifecycle import handoff, params, proof, steps
from lifecycle.argocd.sensor import ApplicationRolloutSensor
from lifecycle.operators.failures import handed_on
from lifecycle.operators.pods import trainer_pod
from lifecycle.operators.restore import RestoreOperator
from lifecycle.operators.retry import WhereItHelps
from lifecycle.settings import settings

DOC = """
### yolo_lifecycle

Trains a YOLO detector and puts it live: `prepare`, `train` and `evaluate` run as pods, `register` makes the version in
MLflow, `promote` writes it into `argocd-apps/<environment>/<app>/values.yaml` by **one commit**, Argo CD rolls it
out, and `verify_serving` asks Triton itself which version answers and whether its boxes are right.

A candidate below the least mAP50, or worse than the live version, is not promoted: the run ends with skipped tasks.
A rollout that fails is taken back by `restore`, and the run fails. To go back by hand: `yolo_rollback`.
"""
OPTIONS = [
    "--dataset={{ params.dataset }}",
    "--model={{ params.model }}",
    "--epochs={{ params.epochs }}",
    "--image-size={{ params.image_size }}",
    "--batch={{ params.batch }}",
    "--seed={{ params.seed }}",
    "--device={{ params.device }}",
    "--registered-model={{ params.registered_model }}",
    "--live-version={{ ti.xcom_pull('open_run')['live']['version'] or '' }}",
    "--hyperparameters={{ params.hyperparameters | tojson }}",
]
TARGET: dict[str, Any] = {
    "environment": "{{ params.environment }}",
    "app": "{{ params.app }}",
    "model": "{{ params.served_model }}",
}
QUESTION = """
{{ ti.xcom_pull('gate', key='decision')['table'] }}

`promote` would put version **{{ ti.xcom_pull('register')['version'] }}** of `{{ params.registered_model }}` live as
`{{ params.served_model }}` in **{{ params.environment }}/{{ params.app }}**. MLflow run:
`{{ ti.xcom_pull('open_run')['run_id'] }}`. Rejecting leaves everything as it is; the version stays in MLflow.
"""
QUICK, SLOW = timedelta(minutes=10), 6 * 3600


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
    default_args={
        "owner": "yolo-lifecycle",
        "retries": 2,
        "retry_delay": timedelta(seconds=settings().retry_delay),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": WhereItHelps(),
    },
)
def yolo_lifecycle() -> None:
    """Wire the tasks."""

    @task(
        execution_timeout=QUICK,
        doc_md="Checks the target in git and MLflow, and opens the run that the rest writes to.",
    )
    def open_run(params: dict[str, Any] | None = None, dag_run: Any = None) -> dict[str, Any]:
        return steps.open_run(params or {}, dag_id=dag_run.dag_id, dag_run_id=dag_run.run_id)

    @task.short_circuit(
        execution_timeout=QUICK,
        doc_md="Skips everything after it if the candidate is not good enough, and says by how much.",
    )
    def gate(opened: dict[str, Any], params: dict[str, Any] | None = None, ti: Any = None) -> str | None:
        decision, table = steps.judge(params or {}, opened)
        ti.xcom_push(key="decision", value={"passed": decision.passed, "reason": decision.reason, "table": table})
        return decision.reason if decision.passed else None

    @task(
        execution_timeout=QUICK,
        doc_md="Registers the candidate in MLflow: one version per DAG run, however often tried.",
    )
    def register(opened: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        return steps.register(params or {}, opened)

    @task(execution_timeout=QUICK, doc_md="Writes version, sha256 and run id into the values file: one commit.")
    def promote(
        registered: dict[str, Any], params: dict[str, Any] | None = None, dag_run: Any = None, ti: Any = None
    ) -> dict[str, Any]:
        chosen, run = params or {}, f"{dag_run.dag_id}/{dag_run.run_id}"
        promoted = handoff.promote(steps.target_of(chosen), chosen["registered_model"], registered, dag_run=run)
        if promoted["outcome"] not in handoff.WENT_ON:
            ti.xcom_push(key="return_value", value=promoted)
            raise AirflowSkipException(f"Nothing was committed ({promoted['outcome']}): {promoted['detail']}")
        return promoted

    @task(
        retries=4, execution_timeout=QUICK, doc_md="Asks Triton which version answers, and whether its boxes are right."
    )
    def verify_serving(
        registered: dict[str, Any], params: dict[str, Any] | None = None, ti: Any = None
    ) -> dict[str, Any]:
        with handed_on(ti):
            pin = {key: registered[key] for key in ("version", "sha256", "run_id")}
            return proof.prove(steps.target_of(params or {}), **pin)

    @task(retries=4, execution_timeout=QUICK, doc_md="Moves the alias `champion` to the version that answers.")
    def set_champion(served: dict[str, Any], rolled: dict[str, str], params: dict[str, Any] | None = None) -> None:
        steps.set_champion(params or {}, served["version"], rolled["commit"])

    opened: Any = open_run()
    pods = [
        trainer_pod(settings(), step, run_id=opened["run_id"], arguments=OPTIONS, seconds=seconds, doc_md=doc)
        for step, seconds, doc in (
            ("prepare", SLOW, "Fetches the dataset, checks it before any training, and records its digest."),
            (
                "train",
                settings().train_timeout,
                "Trains, exports to ONNX, logs metrics per epoch, weights and the ONNX.",
            ),
            ("evaluate", SLOW, "Measures candidate and live version on the held-out split."),
        )
    ]
    gated: Any = gate(opened)
    registered: Any = register(opened)
    approval = (
        [
            ApprovalOperator(
                task_id="approve",
                subject="Put this version live?",
                body=QUESTION,
                defaults=ApprovalOperator.REJECT,
                response_timeout=timedelta(seconds=settings().approval_timeout),
                doc_md="Waits for a person, who sees candidate and live version side by side.",
            )
        ]
        if settings().require_approval
        else []
    )
    promoted: Any = promote(registered)
    rollout = ApplicationRolloutSensor(
        task_id="wait_for_rollout",
        **TARGET,
        commit=promoted["commit"],
        version=registered["version"],
        request_url=promoted["request_url"],
        doc_md="Waits, holding no worker, until Argo CD reports the commit synced and healthy.",
    )
    served: Any = verify_serving(registered)
    restore = RestoreOperator(
        task_id="restore",
        **TARGET,
        registered_model="{{ params.registered_model }}",
        trigger_rule=TriggerRule.ONE_FAILED,
        doc_md="Only after a failed rollout: commits the former version back, waits until it answers, and fails.",
    )
    chain(*pods, gated, registered, *approval, promoted, rollout, served)
    rolled: Any = rollout.output
    set_champion(served, rolled)
    [rollout, served] >> restore


yolo_lifecycle()
