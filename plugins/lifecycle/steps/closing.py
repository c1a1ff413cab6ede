"""The last step: the MLflow run ends as its run does."""

from __future__ import annotations

import logging

from lifecycle.hooks.mlflow import MlflowHook
from lifecycle.mlflow import runs
from lifecycle.model.results import OpenedRun
from lifecycle.policy.outcome import Outcome

log = logging.getLogger(__name__)


def close_run(opened: OpenedRun, ended: Outcome) -> None:
    """Give the MLflow run its last state."""
    with MlflowHook.from_settings().session() as client:
        runs.close(client, opened["run_id"], ended)
    log.info("The MLflow run %s is %s: %s", opened["run_id"], ended.status, ended.text)
