"""New code of model_repository/ for the live version, on a person's word: one commit, rollout, proof, aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import dag
from lifecycle import params
from lifecycle.catalog import catalog, stage_dict, stages_of
from lifecycle.model.names import CHOOSE_CODE
from lifecycle.settings import settings
from lifecycle.stages import chosen_stage, release
from lifecycle.tasks.code import choose_code
from lifecycle.tasks.defaults import by_hand

DOC = """
### yolo_release_code

A push to `model_repository/` alone changes nothing that runs: each pod checks out the commit that its pin names. This
run gives the version that a pipeline's first stage holds the newest commit of that folder: one commit moves
`codeCommit` in that stage's `values.yaml`, then the same wait and the same proof as after a release; if the code fails,
the former comes back. Where the stage has `proof: candidate` (or `LIFECYCLE_PROOF` says so), it proves itself first
where no client asks.

The next stages get version and code together by `yolo_promote`. A pipeline's own run takes the newest code, too. To go
back: `yolo_rollback`.
"""
PIPELINES = catalog(Path(__file__).parent / "pipelines")


@dag(
    dag_id="yolo_release_code",
    description="The live version gets the newest code of model_repository/: one commit → rollout → proof",
    doc_md=DOC,
    params=params.code(PIPELINES),
    **by_hand("code"),
)
def yolo_release_code() -> None:
    """Wire the tasks."""
    proof = settings().proof
    first = {name: stage_dict(each.stages[0], proof) for name, each in PIPELINES.items()}
    chosen: Any = choose_code(first)
    release(chosen, [chosen], chosen_stage(CHOOSE_CODE), stages_of(PIPELINES.values()), proof="candidate", asked=True)


yolo_release_code()
