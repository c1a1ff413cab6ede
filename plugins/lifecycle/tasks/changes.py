"""Whether a run has anything to train: the task between `prepare`, which knows the data, and `train`."""

from __future__ import annotations

import logging

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow.runs import required_tag
from lifecycle.model import names
from lifecycle.model.results import OpenedRun
from lifecycle.policy.recipe import Recipe
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK

log = logging.getLogger(__name__)


@task(
    execution_timeout=QUICK,
    doc_md="Compares data, weights, settings and image with the live version's; skips the rest if the run says so.",
)
def find_changes(opened: OpenedRun, image: str) -> list[str]:
    """Compare with the live version; return what is other.

    Raises:
        AirflowSkipException: nothing is, and the run has `skip_unchanged`.
    """
    params, live = context.lifecycle_params(), opened["live"]
    with MlflowHook.from_settings().session() as client:
        run = client.get_run(opened["run_id"])
        recipe = Recipe.of(
            params,
            dataset_digest=required_tag(run, names.DATASET_DIGEST, "prepare"),
            weights_sha256=run.data.params.get(names.WEIGHTS_SHA256, ""),
            image=image,
        )
        client.set_tag(opened["run_id"], names.RECIPE, recipe.tag())
        if live["version"] is None:
            log.info("Nothing is live to compare with.")
            return list(recipe.changes(None))
        changes = recipe.changes(client.get_run(live["run_id"]).data.tags.get(names.RECIPE))
    if changes:
        log.info("Other than in the live version %s: %s", live["version"], ", ".join(changes))
    elif params["skip_unchanged"]:
        said = (
            f"Nothing to train: dataset, weights, settings and image are those of the live version {live['version']}. "
            "Trigger the run without `skip_unchanged` to train all the same."
        )
        # Airflow's log does not say why a task was skipped.
        log.info(said)
        context.task_instance().xcom_push(key=names.REASON_KEY, value=said)
        raise AirflowSkipException(said)
    else:
        log.info("All is as in the live version %s; it is trained all the same.", live["version"])
    return changes
