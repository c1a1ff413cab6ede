"""A new folder for a model that is not made here, on a person's word: one commit, rollout, proof, or back."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import TriggerRule, chain, dag
from lifecycle import params
from lifecycle.model.names import RESTORE, WAIT_FOR_ROLLOUT
from lifecycle.operators.restore import RestoreOperator
from lifecycle.sensors.application import ApplicationRolloutSensor
from lifecycle.tasks.defaults import by_hand
from lifecycle.tasks.folder import choose_folder, commit_folder, verify_folder

DOC = """
### yolo_release_path

An entry of a values file may be a Triton model folder of somebody else, of any backend:
`source: {s3: s3://<bucket>/<folder>}`. This run gives it another folder: one commit moves that address in
`argocd-apps/<environment>/<app>/values.yaml`, then Argo CD rolls the model's pods, and the server itself is asked
which folder it serves. If the new one does not load, the former comes back by a commit.

Put what is new into a folder that was never served before: what Git names is then what any pod serves, after any
restart.
Without a **folder**, the one before the present comes back; with **hold**, no run moves the entry until a person sets
`hold: false`.
"""


@dag(
    dag_id="yolo_release_path",
    description="A model that is not made here gets another folder: one commit → rollout → proof",
    doc_md=DOC,
    params=params.folder(),
    **by_hand("folder"),
)
def yolo_release_path() -> None:
    """Wire the tasks."""
    chosen: Any = choose_folder()
    delivered: Any = commit_folder(chosen)
    rollout = ApplicationRolloutSensor(
        task_id=WAIT_FOR_ROLLOUT,
        **params.TARGET,
        commit=delivered["commit"],
        uri=chosen["uri"],
        request_url=delivered["request_url"],
    )
    served: Any = verify_folder.override(retries=4)(chosen["pin"])
    restore = RestoreOperator(
        task_id=RESTORE, **params.TARGET, registered_model="", trigger_rule=TriggerRule.ONE_FAILED
    )
    # A run ends as its last tasks do, and `restore` is skipped where nothing was committed.
    live = EmptyOperator(task_id="live", doc_md="Does nothing: it is there when the folder is live, and only then.")
    chain(rollout, served, live)
    [rollout, served] >> restore


yolo_release_path()
