"""Back to a former version, on a person's word: one commit, rollout, proof, champion."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import dag, task
from lifecycle import params, proof, rollback, steps
from lifecycle.argocd.sensor import ApplicationRolloutSensor
from lifecycle.operators.retry import WhereItHelps
from lifecycle.settings import settings

DOC = """
### yolo_rollback

Puts a version live again that was live before, or any other registered one: one commit to
`argocd-apps/<environment>/<app>/values.yaml`, then the same wait and the same proof as after a promotion. Without a
version it takes the one that git's history names before the present one. With **hold**, no run of `yolo_lifecycle`
promotes over it until a person sets `hold: false` in that file.

Rolling back in Argo CD itself does not last: it puts back what git says. Git is the only thing that deploys.
"""
QUICK = timedelta(minutes=10)


@dag(
    dag_id="yolo_rollback",
    description="A former version goes live again: one commit → rollout → proof",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=4,
    tags=["yolo", "rollback", "gitops"],
    params=params.rollback(),
    default_args={
        "owner": "yolo-lifecycle",
        "retries": 3,
        "retry_delay": timedelta(seconds=settings().retry_delay),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": WhereItHelps(),
    },
)
def yolo_rollback() -> None:
    """Wire the tasks."""

    @task(
        execution_timeout=QUICK,
        doc_md="Finds the version in git's history or in MLflow; refuses one that is not there.",
    )
    def choose_version(params: dict[str, Any] | None = None) -> dict[str, Any]:
        return rollback.choose(params or {})

    @task(execution_timeout=QUICK, doc_md="Writes version, sha256 and run id, and hold if wanted: one commit.")
    def roll_back(chosen: dict[str, Any], params: dict[str, Any] | None = None, dag_run: Any = None) -> dict[str, Any]:
        return rollback.deliver(params or {}, chosen, dag_run=f"{dag_run.dag_id}/{dag_run.run_id}")

    @task(execution_timeout=QUICK, doc_md="Asks Triton which version answers, and whether its boxes are right.")
    def verify_serving(chosen: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        pin = {key: chosen[key] for key in ("version", "sha256", "run_id")}
        return proof.prove(steps.target_of(params or {}), **pin)

    @task(execution_timeout=QUICK, doc_md="Moves the alias `champion` to the version that answers.")
    def set_champion(chosen: dict[str, Any], rolled: dict[str, str], params: dict[str, Any] | None = None) -> None:
        steps.set_champion(
            {**(params or {}), "registered_model": chosen["registered_model"]}, chosen["version"], rolled["commit"]
        )

    chosen: Any = choose_version()
    delivered: Any = roll_back(chosen)
    rollout = ApplicationRolloutSensor(
        task_id="wait_for_rollout",
        environment="{{ params.environment }}",
        app="{{ params.app }}",
        model="{{ params.served_model }}",
        commit=delivered["commit"],
        version=chosen["version"],
        request_url=delivered["request_url"],
        doc_md="Waits, holding no worker, until Argo CD reports the commit synced and healthy.",
    )
    rolled: Any = rollout.output
    served = verify_serving(chosen)
    champion = set_champion(chosen, rolled)
    rollout >> served >> champion


yolo_rollback()
