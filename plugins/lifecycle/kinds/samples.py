"""The folder `verification/` of a run, whatever the kind of model: an index, and the pictures that it names."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from yolo_client.letterbox import Pixels

from lifecycle.errors import SamplesUnusable

INDEX = "expected.json"
Read = TypeVar("Read")


def read_index(folder: Path, read: Callable[[dict[str, Any]], Read]) -> Read:
    """What `read` makes of the index.

    Raises:
        SamplesUnusable: a file is missing or is not what the evaluation writes, or no picture is named.
    """
    index = folder / INDEX
    try:
        told: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        made, pictures = read(told), len(told["images"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, UnidentifiedImageError) as error:
        raise SamplesUnusable(
            f"the verification pictures in {folder} cannot be read ({type(error).__name__}: {error}): run the "
            "evaluation step again, which writes them to the MLflow run's artifacts under verification/"
        ) from error
    if not pictures:
        raise SamplesUnusable(f"{index} names no pictures, so nothing can be verified: run the evaluation step again")
    return made


def read_pixels(file: Path) -> Pixels:
    """RGB pixels (h, w, 3) of a picture."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
