"""New code for a version that is live: what a person may release by `yolo_release_code`."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from airflow.sdk import task

from lifecycle.errors import BadParameter
from lifecycle.hooks.gitops import repository
from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import versions
from lifecycle.model import names
from lifecycle.model.results import Promotion, StageDict
from lifecycle.steps.served import check_served_here
from lifecycle.tasks import context
from lifecycle.tasks.defaults import QUICK
from lifecycle.tasks.promotion import refused

log = logging.getLogger(__name__)


@task(
    task_id=names.CHOOSE_CODE,
    multiple_outputs=True,
    execution_timeout=QUICK,
    doc_md="Reads which version the pipeline's first stage holds, and refuses what may not get other code.",
)
def choose_code(first_stages: Mapping[str, StageDict]) -> Promotion:
    """The version that a pipeline's first stage holds; which code is the newest is decided with the commit.

    Raises:
        BadParameter: there is no such pipeline, or this cluster does not serve the stage.
        PromotionRefused: nothing is served there, or it is on hold.
    """
    params = context.code_params()
    if params["pipeline"] not in first_stages:
        known = ", ".join(first_stages) or "none"
        raise BadParameter(f"There is no pipeline {params['pipeline']!r}; there are: {known}. Nothing was committed.")
    stage = first_stages[params["pipeline"]]
    target = context.target(stage)
    there, tip = repository().read(target.environment, target.app, target.model)
    if there.pin.version is None:
        raise refused(f"{target.entry} holds no version: the pipeline's next release pins the newest code by itself.")
    if there.hold:
        raise refused(
            f"{target.entry} is on hold at {there.pin.words_with_code}. Set hold to false in its values file to let it "
            "through."
        )
    check_served_here(target, "Nothing was committed.")
    with MlflowHook.from_settings().session() as client:
        version = versions.existing(client, there.registered_model, there.pin.number)
    log.info("At %s, %s holds %s", tip, target.entry, there.pin.words_with_code)
    return {
        **there.pin.version_xcom(),
        **stage,
        "registered_model": there.registered_model,
        "source": None,
        "live": there.pin.xcom(),
        "dataset_digest": version.tags.get(names.DATASET_DIGEST, ""),
        "table": "",
        "classes": "",
        "reason": " ".join(params["reason"].split()),
        "since": 0.0,
    }
