"""Tells other DAGs that a version went live: an event of the registered model's asset."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context

from lifecycle.assets import RELEASED, registered_model
from lifecycle.tasks import context

if TYPE_CHECKING:
    from lifecycle.model.pin import Pin
    from lifecycle.model.results import Release
    from lifecycle.model.target import Target

log = logging.getLogger(__name__)


def announce(model: str, pin: Pin, commit: str, target: Target) -> None:
    """Update a registered model's asset, from a task whose outlet is `RELEASED`: when it succeeds, Airflow does so."""
    asset = registered_model(model)
    extra: Release = {
        "version": pin.number,
        "commit": commit,
        "code_commit": pin.code_commit,
        "environment": target.environment,
        "app": target.app,
        "served_model": target.model,
        "mlflow_run": pin.run_id,
        "dag_run": context.dag_run_name(),
    }
    events: Any = get_current_context()["outlet_events"]
    events[RELEASED].add(asset, extra=dict(extra))
    log.info("Updated the asset %s: %s", asset.uri, extra)
