"""From one stage of a pipeline to the next, on a person's word: one commit, rollout, proof, aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import dag
from lifecycle import params
from lifecycle.catalog import catalog, stage_dict, stages_of
from lifecycle.model.names import CHOOSE_PROMOTION
from lifecycle.settings import settings
from lifecycle.stages import chosen_stage, release, soak
from lifecycle.tasks.defaults import by_hand
from lifecycle.tasks.promotion import choose_asked

DOC = """
### yolo_promote

Takes the version that a stage holds, and that answers there, to the next stage: one commit copies version, sha256 and
run id into that stage's `values.yaml`, then the same wait and the same proof as after a pipeline's own release; if the
version fails there, the former one comes back. It refuses a stage that holds nothing or is on hold, and a version that
does not answer, or that is not the stage's any more when the commit is made. Nothing is committed then.

It does as the pipeline's file says of the stage: with `proof: candidate`, the version is proved on a server that no
client reaches, and only then committed; with `soak`, the run waits for what is left of it. Whoever triggers this DAG
has approved.

To go back: `yolo_rollback`.
"""
PIPELINES = catalog(Path(__file__).parent / "pipelines")


@dag(
    dag_id="yolo_promote",
    description="A version goes to the next stage: one commit → rollout → proof",
    doc_md=DOC,
    params=params.promotion(PIPELINES),
    **by_hand("promotion"),
)
def yolo_promote() -> None:
    """Wire the tasks."""
    proof = settings().proof
    stages = {name: [stage_dict(stage, proof) for stage in each.stages] for name, each in PIPELINES.items()}
    promotion: Any = choose_asked(stages)
    source, to = chosen_stage(CHOOSE_PROMOTION, "source"), chosen_stage(CHOOSE_PROMOTION)
    before = [promotion, soak(source, promotion["version"], promotion["since"], promotion["soak"])]
    release(promotion, before, to, stages_of(PIPELINES.values()), proof="candidate", asked=True)


yolo_promote()
