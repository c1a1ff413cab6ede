"""New code of model_repository/ for the live version, on a person's word: one commit, rollout, proof, aliases."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import dag
from lifecycle import params
from lifecycle.catalog import catalog, stage_dict, stages_of
from lifecycle.model.names import CHOOSE_CODE
from lifecycle.settings import settings
from lifecycle.stages import release
from lifecycle.tasks.code import choose_code
from lifecycle.tasks.defaults import default_args

DOC = """
### yolo_release_code

A push to `model_repository/` alone changes nothing that runs: each pod checks out the commit that its pin names. This
run gives the version that a pipeline's first stage holds the newest commit of that folder: one commit moves
`codeCommit` in that stage's `values.yaml`, then the same wait and the same proof as after a release; if the code fails,
the former comes back. With `LIFECYCLE_PROOF=candidate` it proves itself first where no client asks.

The next stages get version and code together by `yolo_promote`. A pipeline's own run takes the newest code, too. To go
back: `yolo_rollback`.
"""
PIPELINES = catalog(Path(__file__).parent / "pipelines")
# The stage is known only once the run has chosen it.
TO = {
    key: f"{{{{ (ti.xcom_pull(task_ids='{CHOOSE_CODE}') or {{}}).get('{key}', '') }}}}"
    for key in ("environment", "app", "served_model", "delivery")
}


@dag(
    dag_id="yolo_release_code",
    description="The live version gets the newest code of model_repository/: one commit → rollout → proof",
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=4,
    tags=["yolo", "code", "gitops"],
    params=params.code(PIPELINES),
    default_args=default_args(retries=3),
)
def yolo_release_code() -> None:
    """Wire the tasks."""
    first = {name: stage_dict(each.stages[0]) for name, each in PIPELINES.items()}
    chosen: Any = choose_code(first)
    release(chosen, [chosen], TO, stages_of(PIPELINES.values()), skips=False, proof=settings().proof)


yolo_release_code()
