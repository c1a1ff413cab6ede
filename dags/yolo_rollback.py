"""Back to a former version, on a person's word: one commit, rollout, proof, aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import chain, dag
from lifecycle import params
from lifecycle.catalog import catalog, stages_of
from lifecycle.model.names import WAIT_FOR_ROLLOUT
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.tasks.defaults import by_hand
from lifecycle.tasks.rollback import choose_version, roll_back
from lifecycle.tasks.serving import set_alias, verify_serving

DOC = """
### yolo_rollback

Puts a version live again that was live before, or any other registered one, with the code of `model_repository/` that
it was live with: one commit to `argocd-apps/<environment>/<app>/values.yaml`, then the same wait and the same proof as
after a promotion. Without a version it takes what git's history names before the present pin: another version, or the
same one with other code. With **hold**, no pipeline's run promotes
over it until a person sets `hold: false` in that file.

Rolling back in Argo CD itself does not last: it puts back what git says. Git is the only thing that deploys.
"""
PIPELINES = catalog(Path(__file__).parent / "pipelines")
STAGES = stages_of(PIPELINES.values())


@dag(
    dag_id="yolo_rollback",
    description="A former version goes live again: one commit → rollout → proof",
    doc_md=DOC,
    params=params.rollback(PIPELINES),
    **by_hand("rollback"),
)
def yolo_rollback() -> None:
    """Wire the tasks."""
    chosen: Any = choose_version()
    delivered: Any = roll_back(chosen)
    rollout = ApplicationRolloutSensor(
        task_id=WAIT_FOR_ROLLOUT,
        **params.TARGET,
        commit=delivered["commit"],
        version=chosen["version"],
        code_commit=delivered["code_commit"],
        request_url=delivered["request_url"],
    )
    rolled: Any = rollout.output
    served: Any = verify_serving(delivered["pin"])
    chain(rollout, served, set_alias(chosen["registered_model"], served, rolled, STAGES))


yolo_rollback()
