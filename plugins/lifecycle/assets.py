"""Airflow's assets at both ends of a pipeline: the dataset that starts it, and the registered model that it updates.

Each has its address as its name too, so that a DAG names it by one word: `Asset("models:/digits-detector")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetAlias, AssetWatcher

from lifecycle.errors import BadPipeline
from lifecycle.hooks.dataset import missing_package
from lifecycle.triggers.dataset import DatasetTrigger

if TYPE_CHECKING:
    from datetime import timedelta

# An alias, because a person may change the registered model for one run: which asset it is, the task knows.
RELEASED = AssetAlias("released-models")
SETTLE = 60.0  # seconds that a changed dataset has to stay as it is, if it is not looked at more often


def watched_dataset(pipeline: str, dataset: str, every: timedelta) -> Asset:
    """The dataset of a pipeline, with its watcher.

    Pipelines that share a dataset have an asset each: Airflow keeps one set of watchers for an asset, and each file may
    give its own interval.

    Raises:
        BadPipeline: a package that its scheme needs is missing.
    """
    if package := missing_package(dataset):
        raise BadPipeline(
            f"pipelines/{pipeline}.yaml: run.on_dataset_change: watching {dataset} needs the package {package}, which "
            "this Airflow lacks. Add it to docker/airflow/requirements.in, or leave the key out."
        )
    seconds = every.total_seconds()
    trigger = DatasetTrigger(pipeline=pipeline, dataset=dataset, interval=seconds, settle=min(seconds, SETTLE))
    return Asset(f"dataset:/{pipeline}", extra={"dataset": dataset}, watchers=[AssetWatcher("dataset", trigger)])


def registered_model(name: str) -> Asset:
    """A registered model, by MLflow's own address."""
    return Asset(f"models:/{name}")
