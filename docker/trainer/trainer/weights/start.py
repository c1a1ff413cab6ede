"""The weights that a run starts from: resolved and recorded by ``prepare``, opened by ``train``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import InputError
from trainer.progress import say
from trainer.settings import Settings
from trainer.tasks import find
from trainer.tracking import Run
from trainer.transfer import download, open_store, shown, with_retries
from trainer.weights.check import check_weights
from trainer.weights.published import published_url
from trainer.weights.reference import Kind, Reference, find_file, starting_weights
from trainer.weights.registered import fetch_registered
from trainer.weights.store import Store

SHA256 = "weights_sha256"
PARENT = "parent_version"
CLASSES_SHOWN = 10


@dataclass(frozen=True)
class Weights:
    """A file in the workspace, and what it was."""

    file: Path
    sha256: str
    parent_version: str = ""  # <registered model>/<version>; empty: they are not a registered version's

    @property
    def params(self) -> dict[str, str]:
        """Of the MLflow run."""
        return {SHA256: self.sha256} | ({PARENT: self.parent_version} if self.parent_version else {})


def check_model(settings: Settings) -> Reference | None:
    """Tell from its text alone whether a training can start from ``--model``; the weights, if it starts from any.

    Raises:
        InputError: it cannot.
    """
    task = find(settings.task)
    if task.forms.is_architecture(settings.model):
        task.check_architecture(settings.model, settings.image_size, settings.workspace)
    return starting_weights(settings.model, settings.hyperparameters, settings.workspace, task.forms)


def prepare_weights(reference: Reference, settings: Settings, run: Run) -> Weights:
    """Fetch and check weights.

    Raises:
        InputError: there are none, they may not be read, or they are none of the task.
        TrainerError: the network, the store or MLflow failed.
    """
    from trainer import runtime

    runtime.start(settings.workspace)
    return _fetch(reference, settings, run)


def open_weights(reference: Reference, settings: Settings, run: Run) -> Weights:
    """The weights that ``prepare`` recorded, from the workspace; fetched again where the pod's workspace lacks them.

    Raises:
        InputError: ``prepare`` has not finished in this run, or the address has other weights by now.
    """
    params = run.params()
    if not (expected := params.get(SHA256)):
        raise InputError(f"MLflow run {run.run_id} has no param {SHA256}, which `prepare` writes. Run `prepare` first.")
    parent = params.get(PARENT, "")
    if file := Store(settings.workspace).find(expected):
        say(f"Weights {expected[:12]} are in the workspace")
        return Weights(file, expected, parent)
    if parent:  # an alias may be another version's by now
        reference = Reference(Kind.REGISTERED, f"models:/{parent}")
    weights = _fetch(reference, settings, run)
    if weights.sha256 != expected:
        raise InputError(
            f"The weights {reference.shown} have changed since prepare checked them: their sha256 was {expected} and "
            f"is {weights.sha256}. Trigger a new run."
        )
    return weights


def _fetch(reference: Reference, settings: Settings, run: Run) -> Weights:
    """Bring the weights into the workspace, checked."""
    store = Store(settings.workspace)
    url = published_url(reference.text, settings.weights_url) if reference.kind is Kind.PUBLISHED else ""
    if url and (known := store.recall(url)):
        say(f"Weights {reference.text} are in the workspace")
        _check(known, reference, settings)
        return Weights(known, known.stem)
    with store.scratch() as scratch:
        parent = _bring(reference, url, settings, run, scratch)
        _check(scratch, reference, settings)
        place, sha256 = store.add(scratch)
    if url:
        store.remember(url, sha256)
    return Weights(place, sha256, parent)


def _bring(reference: Reference, url: str, settings: Settings, run: Run, target: Path) -> str:
    """Write the weights to ``target``; return the registered version that they are of, or nothing."""
    if reference.kind is Kind.REGISTERED:
        return fetch_registered(run, reference.text, target)
    if reference.kind is Kind.FILE:
        file = find_file(reference.text, settings.workspace)
        if file is None:
            raise InputError(f"The weights {reference.text!r} are no longer in the workspace. Put them back.")
        shutil.copyfile(file, target)
        return ""
    uri = url or reference.text
    say(f"Fetching {shown(uri)}")
    filesystem, path = open_store(uri)
    with_retries("weights", uri, lambda: download(filesystem, path, target))
    return ""


def _check(file: Path, reference: Reference, settings: Settings) -> None:
    names = check_weights(file, reference.shown, find(settings.task), settings.image_size)
    more = ", …" if len(names) > CLASSES_SHOWN else ""
    say(f"Weights {reference.shown} know {len(names)} classes: {', '.join(names[:CLASSES_SHOWN])}{more}")
