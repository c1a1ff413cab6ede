"""Whether a file has weights that can be trained. It is loaded as the training will load it.

A .pt file is a pickle, which can run any program while it is read. Ultralytics' restricted loading, which
``runtime.start`` turns on, takes the classes of Ultralytics and torch alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import InputError
from trainer.transfer import STAND_INS

if TYPE_CHECKING:
    from trainer.tasks.task import Task

# How files begin that people take for weights.
_OTHERS = {**STAND_INS, b"{": "JSON"}


def check_weights(file: Path, name: str, task: Task, image_size: int) -> list[str]:
    """Load the file; return the names of its classes.

    Args:
        file: in the workspace.
        name: of the weights, for messages.
        task: that they are to be trained for.
        image_size: of the training, in pixels.

    Raises:
        InputError: they are no weights of the task, or none for images of that size.
    """
    with file.open("rb") as content:
        start = content.read(64).lstrip()
    for beginning, what in _OTHERS.items():
        if start.startswith(beginning):
            raise InputError(f"The weights {name} are {what}, not a .pt file. Give the address of the file itself.")
    from ultralytics.nn.tasks import load_checkpoint

    task.trust()
    try:
        model, _ = load_checkpoint(str(file))
        names, _ = _by_number(model.names), model.model[-1]
    except Exception as error:  # whatever a file that is no checkpoint happens to raise
        raise InputError(
            f"The weights {name} cannot be loaded: {_reason(error, file)} Give a .pt file that a training with "
            "Ultralytics (best.pt) or its model.save() wrote."
        ) from error
    task.check_layers(model, name, image_size)
    if not all(bool(values.isfinite().all()) for values in model.state_dict().values()):
        raise InputError(
            f"The weights {name} have values that are no finite numbers: the training that wrote them diverged, and "
            "one that continues from them learns nothing. Give those of an earlier epoch, or of another training."
        )
    return [str(names[number]) for number in sorted(names)]


def _by_number(names: dict[int, str] | list[str]) -> dict[int, str]:
    """Old checkpoints have a list."""
    return dict(enumerate(names)) if isinstance(names, list) else dict(names)


def _reason(error: BaseException, file: Path) -> str:
    """What Ultralytics says, in one sentence and without its advice and the workspace's path."""
    text = str(error).replace("ERROR ❌️ ", "").replace(str(file), "the file").partition("\n")[0]
    text = " ".join(text.partition(" Use an official")[0].split())[:300].rstrip(".")
    return f"{text or type(error).__name__}."
