"""``evaluate``: measure the ONNX, the thing that is served, on the held-out test split, beside the live version."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainer import runtime
from trainer.datasets.cache import materialise
from trainer.datasets.model import Dataset
from trainer.drawing import grid
from trainer.errors import TrackingError
from trainer.live import download_live
from trainer.networks import Network, OnnxNetwork
from trainer.progress import say
from trainer.settings import Settings
from trainer.tasks import find
from trainer.tasks.task import Task
from trainer.tracking import Run

if TYPE_CHECKING:
    from trainer.precision import Lower

EXAMPLES = 12


def evaluate(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: `prepare` or `train` has not finished in this run, or the live version is not in the registry.
    """
    run = Run(settings.tracking_uri, settings.run_id)
    uri, sha256 = run.required_tag("model_uri", "train"), run.required_tag("sha256", "train")
    image_size = int(run.required_tag("image_size", "train"))
    task, digest = find(settings.task), run.required_tag("dataset_digest", "prepare")
    dataset = materialise(settings.dataset, settings.workspace, task.labelling, digest)
    runtime.start(settings.workspace)
    task.trust()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        candidate = _download_candidate(run, uri, sha256, folder / "candidate")
        metrics, lower = _measure_candidate(run, task, dataset, candidate, image_size, folder / "evaluation")
        comparison, live = _measure_live(run, settings, task, dataset, folder / "live")
        images, differing = _verify(run, settings, task, dataset, image_size, folder, lower)
    _log(run, metrics | live | {"verification_images": images})
    drop = {precision: found.drop for precision, found in lower.items() if precision not in differing}
    tags = {"live_version": settings.live_version, "live_comparison": comparison, "precision_drop": json.dumps(drop)}
    run.set_tags(tags)
    say(comparison)


def _download_candidate(run: Run, uri: str, sha256: str, folder: Path) -> Path:
    file = next(run.download(uri, folder).rglob("model.onnx"))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != sha256:
        raise TrackingError(
            f"The model.onnx that MLflow returns for {uri} has sha256 {found}, and `train` logged "
            f"{sha256}. See whether the artifact store is sound; then retry."
        )
    return file


def _measure_candidate(
    run: Run, task: Task, dataset: Dataset, file: Path, image_size: int, folder: Path
) -> tuple[dict[str, float], dict[str, Lower]]:
    """The candidate's metrics, and what lower precisions cost it."""
    from trainer.precision import candidates, measure_lower
    from trainer.quantization import find_int8

    folder.mkdir()
    network = OnnxNetwork(file)
    samples, names = dataset.splits["test"], dataset.names
    say(f"Evaluating the ONNX on {len(samples)} test images")
    found = task.measure(network, samples, names, image_size, plots=folder)
    found.write_csv(folder / "by_class.csv")
    _draw_examples(task, network, dataset, image_size, folder / "examples.png")
    run.log_files(folder, "evaluation")
    say(f"candidate: {_shown(found.figures)}")

    def decisive(lower: Network) -> float:
        return task.measure(lower, samples, names, image_size).figures[task.decisive]

    files = candidates(file, find_int8(file))
    lower = measure_lower(files, found.figures[task.decisive], decisive, task.decisive, image_size)
    return {f"test/{name}": value for name, value in found.figures.items()}, lower


def _measure_live(
    run: Run, settings: Settings, task: Task, dataset: Dataset, folder: Path
) -> tuple[str, dict[str, float]]:
    """A sentence for the tag ``live_comparison``, and the live version's metrics on the same images."""
    if not (settings.registered_model and settings.live_version):
        return "not compared: no version is live", {}
    which = f"version {settings.live_version} of {settings.registered_model}"
    live = download_live(run, settings.registered_model, settings.live_version, task.name, folder)
    if live.class_names != dataset.names:
        return (
            f"not compared: {which} knows other classes ({', '.join(live.class_names[:10])}) than the candidate "
            f"({', '.join(dataset.names[:10])})"
        ), {}
    found = task.measure(OnnxNetwork(live.file), dataset.splits["test"], dataset.names, live.image_size)
    compared = {name: found.figures[name] for name in task.compared}
    say(f"live {which}: {_shown(compared)}")
    return (
        f"compared with {which} on the same {found.images} test images",
        {f"live/{name}": value for name, value in compared.items()},
    )


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def _verify(
    run: Run, settings: Settings, task: Task, dataset: Dataset, image_size: int, folder: Path, lower: dict[str, Lower]
) -> tuple[int, set[str]]:
    """Keep images to check the server with; return how many there are, and the precisions that are not to be served."""
    weights = settings.run_folder / "training/weights/best.pt"
    if not weights.exists():
        weights = run.download(f"runs:/{run.run_id}/weights/best.pt", folder / "weights")
    served = {precision: found.networks for precision, found in lower.items() if found.served}
    count, differing = task.write_verification(
        weights, dataset.splits["test"], dataset.names, image_size, folder / "verification", served
    )
    for precision in sorted(differing):
        say(f"In {precision} {task.other_answers} on most images: the version is not served so")
    run.log_files(folder / "verification", "verification")
    say(
        f"{count} test images for the check of the server"
        + ("" if count else ": the model finds nothing on them that is clear enough")
    )
    return count, differing


def _draw_examples(task: Task, network: Network, dataset: Dataset, image_size: int, file: Path) -> None:
    """Test images with what the ONNX says of them."""
    samples = dataset.splits["test"]
    chosen = np.unique(np.linspace(0, len(samples) - 1, EXAMPLES).astype(int))
    grid([task.draw_answer(network, samples[number], dataset.names, image_size) for number in chosen]).save(file)


def _log(run: Run, metrics: dict[str, float]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    run.log_metrics([Metric(key, value, now, 0) for key, value in metrics.items()])
