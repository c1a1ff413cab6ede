"""``prepare``: fetch the dataset, check it before a minute of training is spent, and record what it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from trainer import runtime
from trainer.class_names import ARTIFACT, names_tag
from trainer.datasets.cache import materialise
from trainer.datasets.model import SPLITS, Dataset
from trainer.drawing import grid
from trainer.logged_dataset import log_dataset
from trainer.progress import say
from trainer.settings import Settings
from trainer.tasks import find
from trainer.tasks.task import Task
from trainer.tracking import Run
from trainer.training.arguments import check_hyperparameters, check_values
from trainer.transfer import shown
from trainer.weights.start import Weights, check_model, prepare_weights

SAMPLES_A_SPLIT = 4
OPTIONS = "options.json"
KEPT = ("task", "epochs", "image_size", "batch", "seed", "device", "gpus", "registered_model", "live_version")


def prepare(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: the dataset or the model cannot be used.
    """
    reference = check_model(settings)
    check_hyperparameters(settings.hyperparameters)
    run = Run(settings.tracking_uri, settings.run_id)
    # First of all, because it tells whether the pod can write to the artifact store.
    run.log_json(_options(settings), OPTIONS)
    # Before the dataset, which may take an hour.
    if settings.hyperparameters:
        runtime.start(settings.workspace)
        check_values(settings.hyperparameters)
    weights = prepare_weights(reference, settings, run) if reference else None
    task = find(settings.task)
    dataset = materialise(settings.dataset, settings.workspace, task.labelling)
    for split, counts in dataset.summary["splits"].items():
        say(f"{split}: {task.labelling.words(counts)}")
    if made := dataset.summary["splits_made"]:
        say(f"Made {' and '.join(made['splits'])} from train, {made['share_each']:.0%} each")
    for warning in dataset.summary["warnings"]:
        say(f"Warning: {warning}")
    _record(run, task, dataset, shown(settings.model), weights)
    say(f"Dataset digest: {dataset.digest}")


def _options(settings: Settings) -> dict[str, object]:
    """What the run was asked to do, without the signatures of addresses."""
    addresses = {"dataset": shown(settings.dataset), "model": shown(settings.model)}
    return {name: getattr(settings, name) for name in KEPT} | addresses


def _record(run: Run, task: Task, dataset: Dataset, model: str, weights: Weights | None) -> None:
    params = {"dataset": dataset.summary["dataset"], "model": model} | (weights.params if weights else {})
    for split, counts in dataset.summary["splits"].items():
        params |= {f"dataset_{split}_{what}": str(count) for what, count in task.labelling.params(counts).items()}
    run.log_params(params)
    run.log_json(dataset.summary, "dataset/summary.json")
    run.log_json(dataset.names, ARTIFACT)
    log_dataset(run, dataset)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "samples.png"
        draw_samples(task, dataset).save(picture)
        run.log_file(picture, "dataset")
    if weights and weights.parent_version:
        run.set_tags({"parent_version": weights.parent_version})
    # Last: with these, the next command knows that this one is done.
    run.set_tags({"task": task.name, "dataset_digest": dataset.digest, "class_names": names_tag(dataset.names)})


def draw_samples(task: Task, dataset: Dataset) -> Image.Image:
    """A grid, a row for each split: images spread over it, with their labels."""
    tiles = []
    for split in SPLITS:
        samples = dataset.splits[split]
        for number in np.unique(np.linspace(0, len(samples) - 1, SAMPLES_A_SPLIT).astype(int)):
            tiles.append(task.draw_sample(samples[number], dataset.names))
    return grid(tiles, SAMPLES_A_SPLIT)
