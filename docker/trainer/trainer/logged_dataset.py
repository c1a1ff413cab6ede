"""The dataset as an input of the run, in MLflow's own form: what its page and its table of runs show under Datasets."""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trainer.tracking import Run

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

    from trainer.datasets.model import Dataset

DIGEST_LIMIT = 36  # characters, MLflow's; the whole digest is in the profile and in the run's tag


def log_dataset(run: Run, dataset: Dataset) -> None:
    """Log the splits, each as an input whose context is the split's name. A retry logs nothing twice."""
    uri = str(dataset.summary["dataset"])
    run.log_inputs([_input(uri, dataset.digest, split, counts) for split, counts in dataset.summary["splits"].items()])


def _input(uri: str, digest: str, split: str, counts: dict[str, object]) -> DatasetInput:
    from mlflow.data.dataset_source_registry import resolve_dataset_source
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    # MLflow takes inputs of the same name and digest for one.
    name = f"{short_name(uri)}/{split}"
    with warnings.catch_warnings(action="ignore"):  # that several classes of MLflow would do for a folder
        source = resolve_dataset_source(uri)
    logged = MetaDataset(source, name, digest[:DIGEST_LIMIT])  # type: ignore[abstract]
    profile = {key: value for key, value in counts.items() if isinstance(value, int)} | {"digest": digest}
    entity = Dataset(**logged.to_dict(), profile=json.dumps(profile))
    return DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, split)])


def short_name(uri: str) -> str:
    """What people call a dataset: the last part of its address, without the endings of archives."""
    last = urlsplit(uri).path.rstrip("/").rpartition("/")[2]
    return re.sub(r"(\.(zip|tar|tgz|gz|bz2|xz|yaml|yml))+$", "", last) or "dataset"
