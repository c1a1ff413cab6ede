"""Whether a file has the weights of a detector that can be trained. It is loaded as the training will load it.

A .pt file is a pickle, which can run any program while it is read. Ultralytics' restricted loading, which
``runtime.start`` turns on, takes the classes of Ultralytics and torch alone.
"""

from __future__ import annotations

from pathlib import Path

from trainer.architecture import DETECTION_HEADS, END_TO_END_LEAST_SIZE
from trainer.errors import InputError

# How files begin that people take for weights.
_OTHERS = {
    b"<": "a web page (does the address need a password?)",
    b"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched",
    b"{": "JSON",
}


def check_weights(file: Path, name: str, image_size: int) -> list[str]:
    """Load the file; return the names of its classes.

    Args:
        file: in the workspace.
        name: of the weights, for messages.
        image_size: of the training, in pixels.

    Raises:
        InputError: it is no detector's weights, or none for images of that size.
    """
    with file.open("rb") as content:
        start = content.read(64).lstrip()
    for beginning, what in _OTHERS.items():
        if start.startswith(beginning):
            raise InputError(f"The weights {name} are {what}, not a .pt file. Give the address of the file itself.")
    from ultralytics.nn.tasks import load_checkpoint

    try:
        model, _ = load_checkpoint(str(file))
        layers, names = model.model, dict(model.names)
        head = type(layers[-1]).__name__
    except Exception as error:  # whatever a file that is no checkpoint happens to raise
        raise InputError(
            f"The weights {name} cannot be loaded: {_reason(error, file)} Give a .pt file that a training with "
            "Ultralytics (best.pt) or its model.save() wrote."
        ) from error
    if head not in DETECTION_HEADS:
        raise InputError(
            f"The weights {name} end in {head}: they are not a plain detector's, which is what is trained and served "
            "here. Give a detector's, such as yolo11n.pt."
        )
    if image_size < END_TO_END_LEAST_SIZE and getattr(layers[-1], "one2one_cv2", None) is not None:
        raise InputError(
            f"The weights {name} give 300 boxes an image without suppression, and one of {image_size} pixels has fewer "
            f"places than that. Set --image-size to {END_TO_END_LEAST_SIZE} or more, or give others, such as "
            "yolo11n.pt."
        )
    return [str(names[number]) for number in sorted(names)]


def _reason(error: BaseException, file: Path) -> str:
    """What Ultralytics says, in one sentence and without its advice and the workspace's path."""
    text = str(error).replace("ERROR ❌️ ", "").replace(str(file), "the file").partition("\n")[0]
    text = " ".join(text.partition(" Use an official")[0].split())[:300].rstrip(".")
    return f"{text or type(error).__name__}."
