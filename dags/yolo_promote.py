"""From one stage of a pipeline to the next, on a person's word: one commit, rollout, proof, aliases."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import dag
from lifecycle import params
from lifecycle.catalog import catalog, stage_dict, stages_of
from lifecycle.model.names import CHOOSE_PROMOTION
from lifecycle.stages import release
from lifecycle.tasks.defaults import default_args
from lifecycle.tasks.promotion import choose_asked

DOC = """
### yolo_promote

Takes the version that a stage holds, and that answers there, to the next stage: one commit copies version, sha256 and
run id into that stage's `values.yaml`, then the same wait and the same proof as after a pipeline's own release; if the
version fails there, the former one comes back. It refuses a stage that holds nothing or is on hold, and a version that
does not answer, or that is not the stage's any more when the commit is made. Nothing is committed then.

To go back: `yolo_rollback`.
"""
PIPELINES = catalog(Path(__file__).parent / "pipelines")
# The stage is known only once the run has chosen it.
TO = {
    key: f"{{{{ (ti.xcom_pull(task_ids='{CHOOSE_PROMOTION}') or {{}}).get('{key}', '') }}}}"
    for key in ("environment", "app", "served_model", "delivery")
}


@dag(
    dag_id="yolo_promote",
    description="A version goes to the next stage: one commit → rollout → proof",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=4,
    tags=["yolo", "promotion", "gitops"],
    params=params.promotion(PIPELINES),
    default_args=default_args(retries=3),
)
def yolo_promote() -> None:
    """Wire the tasks."""
    stages = {name: [stage_dict(stage) for stage in each.stages] for name, each in PIPELINES.items()}
    promotion: Any = choose_asked(stages)
    release(promotion, [promotion], TO, stages_of(PIPELINES.values()), skips=False)


yolo_promote()
