"""The workspace's copies of datasets, each in a folder named by its digest.

A copy appears whole or not at all (a rename), so pods may make the same one at once. Trainings share it: it is never
changed by one, and a damaged one is repaired in its place.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from trainer.datasets.check import check_tree
from trainer.datasets.digest import dataset_digest
from trainer.datasets.labelling import Labelling
from trainer.datasets.model import CheckedSample, Dataset
from trainer.datasets.problems import Problems
from trainer.datasets.scratch import scratch_folder
from trainer.datasets.source import fetch
from trainer.datasets.splits import make_missing_splits
from trainer.datasets.stored import CopyWriter, as_dataset, open_copy, publish
from trainer.datasets.summary import summarise
from trainer.errors import InputError, TrainerError
from trainer.progress import say
from trainer.transfer import shown
from trainer.workspace import FULL

PREPARED = ".prepared"  # in the workspace: an empty file for each URI that was


def materialise(uri: str, workspace: Path, labelling: Labelling, expected: str | None = None) -> Dataset:
    """A checked copy of the dataset at ``uri``.

    Args:
        uri: what ``--dataset`` names.
        workspace: the volume that the pods of a run share.
        labelling: what its labels are.
        expected: the digest that ``prepare`` recorded; its copy is used where there is one.

    Raises:
        InputError: the dataset is not there, has problems, or is no longer what ``expected`` says.
        TrainerError: it could not be fetched.
    """
    folder = workspace / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    if expected and (dataset := open_copy(folder / expected)):
        say(f"Dataset {expected[:12]} is in the workspace")
        return dataset
    try:
        with scratch_folder(folder) as scratch:
            return _make(uri, folder, scratch, expected, labelling)
    except OSError as error:
        if error.errno in FULL:
            raise TrainerError(
                f"The workspace {workspace} has no room for the dataset {shown(uri)}. Make room in it, or give it a "
                "larger volume; then retry."
            ) from error
        raise


def _make(uri: str, folder: Path, scratch: Path, expected: str | None, labelling: Labelling) -> Dataset:
    """Fetch and check into ``scratch``; copy to ``folder``, unless it is there."""
    if uri.partition("?")[0] == "digits":
        place, own = labelling.make(uri, scratch / "source"), True
    else:
        place, own = fetch(uri, scratch)
    problems, warnings = Problems(), Problems()
    tree = labelling.read(place, scratch / "made", problems, warnings, confined=own)
    own = own or tree.ours
    say(f"Format: {tree.format}")
    labelling.refuse_same_places(tree)
    writer = CopyWriter(scratch / "copy", labelling)
    # A dataset that was prepared before is probably the same: then nothing has to be copied.
    hint = folder.parent / PREPARED / hashlib.sha256(uri.encode()).hexdigest()[:32]
    written = not own and not hint.exists() and labelling.files
    checked = check_tree(tree, labelling, problems, warnings, writer.write if written else None)
    made = make_missing_splits(checked, labelling, problems)
    problems.raise_if_any(shown(uri))
    digest = dataset_digest(tree.names, _entries(checked))
    if expected and digest != expected:
        raise InputError(
            f"The dataset {shown(uri)} has changed since prepare checked it: its digest was "
            f"{expected} and is {digest}. Trigger a new run."
        )
    if (folder / digest).exists() and (dataset := open_copy(folder / digest)):
        say(f"Dataset {digest[:12]} is in the workspace")
        return dataset
    if not written:
        writer.write_all(checked, writer.take if own else writer.copy)
    summary = summarise(shown(uri), digest, tree, labelling, checked, made, warnings.lines())
    index = writer.finish(tree.names, checked, summary)
    hint.parent.mkdir(exist_ok=True)
    hint.touch()
    if publish(scratch / "copy", folder / digest):
        return as_dataset(folder / digest, tree.names, index, summary, labelling.files)
    if dataset := open_copy(folder / digest):
        return dataset
    raise OSError(f"The copy of dataset {digest} in {folder} was damaged while it was written.")


def _entries(checked: dict[str, list[CheckedSample]]) -> list[tuple[str, str, str, str]]:
    return [
        (split, item.sample.key, item.image_sha256, item.label_sha256)
        for split, items in checked.items()
        for item in items
    ]
