"""Whether a run has anything to train: between `prepare`, which knows the data, and `train`."""

from __future__ import annotations

import logging

from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow.runs import required_tag
from lifecycle.model import names
from lifecycle.model.results import Changes, LifecycleParams, OpenedRun
from lifecycle.policy.recipe import Recipe

log = logging.getLogger(__name__)


def find_changes(params: LifecycleParams, opened: OpenedRun, image: str) -> Changes:
    """Compare data, weights, settings and image with the live version's, and leave them in the MLflow run."""
    live = opened["live"]
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
            return {"changes": list(recipe.changes(None)), "skipped": ""}
        changes = recipe.changes(client.get_run(live["run_id"]).data.tags.get(names.RECIPE))
    said = ""
    if changes:
        log.info("Other than in the live version %s: %s", live["version"], ", ".join(changes))
    elif params["skip_unchanged"]:
        said = (
            f"Nothing to train: dataset, weights, settings and image are those of the live version {live['version']}. "
            "Trigger the run without `skip_unchanged` to train all the same."
        )
        log.info(said)
    else:
        log.info("All is as in the live version %s; it is trained all the same.", live["version"])
    return {"changes": changes, "skipped": said}
