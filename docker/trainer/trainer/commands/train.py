"""``train``: from a prepared dataset to an ONNX in MLflow that says what the PyTorch model says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from trainer import runtime
from trainer.class_names import names_tag
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.devices import choose_device
from trainer.logged_model import find_logged, log_onnx
from trainer.metric_queue import MetricQueue
from trainer.progress import say
from trainer.quantization import add_int8
from trainer.settings import Settings
from trainer.tasks import find
from trainer.tasks.task import Agreement, Task
from trainer.tracking import Run
from trainer.training.arguments import check_hyperparameters, params_for_mlflow, train_arguments
from trainer.weights.start import check_model, open_weights

PROOF_IMAGES = 12
PICTURES = ("*.png", "*.jpg")


def train(settings: Settings) -> None:
    """Run the command; on a retry, go on from where the last attempt was.

    Raises:
        InputError: an option, the model or the dataset cannot be used.
        Disagreement: the export is wrong.
        TrackingError: MLflow is away at the end.
    """
    reference = check_model(settings)
    check_hyperparameters(settings.hyperparameters)
    run = Run(settings.tracking_uri, settings.run_id)
    task, digest = find(settings.task), run.required_tag("dataset_digest", "prepare")
    dataset = materialise(settings.dataset, settings.workspace, task.labelling, digest)
    say("Starting torch and Ultralytics")
    runtime.start(settings.workspace)
    device = choose_device(settings.device, settings.gpus)
    weights = open_weights(reference, settings, run) if reference else None
    folder = settings.run_folder
    folder.mkdir(parents=True, exist_ok=True)
    file = weights.file if weights else None
    arguments = train_arguments(settings, task, task.data(dataset), folder / "training", file, device)
    run.log_params(params_for_mlflow(arguments, settings) | (weights.params if weights else {}))

    from trainer.training.loop import run_training

    with MetricQueue(run) as queue:
        best = run_training(arguments, folder, queue)
    _store(run, folder / "training", best)
    _export(run, settings, task, dataset, best)


def _store(run: Run, training: Path, best: Path) -> None:
    """The weights, and what Ultralytics drew, which is nothing with ``plots: false``: results, curves, batches."""
    run.log_file(best, "weights")
    for picture in sorted(path for pattern in PICTURES for path in training.glob(pattern)):
        run.log_file(picture, "plots")


def _export(run: Run, settings: Settings, task: Task, dataset: Dataset, best: Path) -> None:
    """Export, prove and log the ONNX; one that an earlier attempt logged is proved and kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if logged := find_logged(run, folder):
            say(f"The run's model is already in MLflow: {logged.uri}")
            agreement = _prove(task, best, logged.file, dataset, settings.image_size)
        else:
            say("Exporting to ONNX")
            file = task.export(best, settings.run_folder / "model.onnx", settings.image_size)
            agreement = _prove(task, best, file, dataset, settings.image_size)
            task.note(file, dataset.splits["train"], settings.image_size)
            int8 = add_int8(file, dataset.splits["train"], settings.image_size, task.read, task.in_floats)
            logged = log_onnx(run, file, dataset.names, settings.image_size, folder, [int8] if int8 else [])
    run.set_tags(
        {
            "onnx_agreement": json.dumps(agreement.to_json()),
            "image_size": str(settings.image_size),
            "class_names": names_tag(dataset.names),
            "sha256": logged.sha256,
            "model_uri": logged.uri,
        }
    )
    say(f"Model {logged.uri}, sha256 {logged.sha256}")


def _prove(task: Task, weights: Path, file: Path, dataset: Dataset, image_size: int) -> Agreement:
    samples = dataset.splits["val"]
    chosen = np.unique(np.linspace(0, len(samples) - 1, PROOF_IMAGES).astype(int))
    agreement = task.prove(weights, file, [samples[number].image for number in chosen], image_size)
    say(f"The ONNX agrees with the PyTorch model: {agreement.words}")
    return agreement
