"""From requests to the probability of each class, and the name of the most probable one."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from encoded_images.decode import Pixels
from model_server.errors import LoadError
from model_server.pictures import PictureJob
from model_server.request import Floats, Given, Job, Limits, Opened, TensorJob, check_images, one_input
from model_server.task import Loaded
from numpy.typing import NDArray

from classifier.middle import middle

INPUTS = {"pixels": "UINT8", "encoded": "files"}


class Classification:
    """See Task. An answer is the probability of each class."""

    name: ClassVar[str] = "classify"
    kind: ClassVar[str] = "a classifier"

    def __init__(self, loaded: Loaded) -> None:
        """See Task."""
        _, height, width = (side or loaded.image_size for side in loaded.metadata.fixed)
        if height != width:
            raise LoadError(
                f"the model was exported for {width}x{height} pixels, but the middle of a picture is cut out as a "
                "square: export it again with one `imgsz`"
            )
        self._size, self._max_pixels = height, loaded.settings.max_pixels
        self._limits = Limits(1, height, height, width)
        classes, names = loaded.output[1], loaded.class_names
        if names and len(names) != classes:
            raise LoadError(
                f"the version names {len(names)} classes, but its model gives {classes} scores: correct its tag "
                "class_names in MLflow, or register it again"
            )
        self._labels = np.array([(names[index] if names else str(index)).encode() for index in range(classes)], object)

    @staticmethod
    def check_output(shape: tuple[int, ...]) -> None:
        """See Task."""
        if len(shape) != 2:
            raise LoadError(
                f"the model's output has shape {list(shape)}, but a classifier's is [N, classes]: export a "
                "classification model, or name the template of its task in the values file (`template`)"
            )

    @property
    def info(self) -> Mapping[str, object]:
        """See Task."""
        return {}

    def job(self, given: Given, parameters: str) -> Job:
        """See Task. The request's parameters say nothing here."""
        name = one_input(given, INPUTS)
        if name == "encoded":
            return PictureJob(list(given[name].reshape(-1)), self._max_pixels, self._fitted)
        return TensorJob(check_images(name, given[name], self._limits), _scores)

    def outputs(self, answers: Sequence[Floats], wanted: Collection[str]) -> dict[str, NDArray[Any]]:
        """See Task."""
        scores = np.stack(answers)
        found: dict[str, NDArray[Any]] = {"scores": scores}
        if "labels" in wanted:
            found["labels"] = self._labels[scores.argmax(axis=1)][:, None]
        return found

    def _fitted(self, picture: Pixels) -> Opened:
        return Opened(middle(picture, self._size)[None], _scores)


def _scores(output: Floats) -> Floats:
    return output[0].copy()
