"""From requests to rows of boxes: letterbox, thresholds, suppression, the way back to the picture."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from encoded_images.decode import Pixels
from model_server.errors import LoadError
from model_server.pictures import PictureJob
from model_server.request import Floats, Given, Job, Limits, Opened, TensorJob, check_images, one_input, threshold
from model_server.task import Loaded
from numpy.typing import NDArray

from detector.letterbox import Target, letterbox
from detector.postprocess import detections_of, is_end_to_end

INPUTS = {"images": "FP32, 0-1", "pixels": "UINT8", "encoded": "files"}


class Detection:
    """See Task. An answer is rows (n, 6): x1, y1, x2, y2, confidence, class."""

    name: ClassVar[str] = "detect"
    kind: ClassVar[str] = "a detector"

    def __init__(self, loaded: Loaded) -> None:
        """See Task."""
        metadata, self._settings = loaded.metadata, loaded.settings
        _, height, width = metadata.fixed
        self._end_to_end_rows = loaded.output[1] if is_end_to_end(loaded.output) else 0
        self._stride = metadata.stride
        self._limits = Limits.of(metadata, loaded.image_size, loaded.settings.max_side)
        self._target = Target(loaded.image_size, metadata.stride, height, width, self._end_to_end_rows)

    @staticmethod
    def check_output(shape: tuple[int, ...]) -> None:
        """See Task."""
        if len(shape) != 3 or (shape[2] != 6 and shape[1] < 5):
            raise LoadError(
                f"the model's output has shape {list(shape)}, but a detector's is [N, 4 + classes, anchors] or "
                "[N, 300, 6]: export a detection model with `nms=False`"
            )

    @property
    def info(self) -> Mapping[str, object]:
        """See Task."""
        return {"stride": self._stride, "end_to_end_rows": self._end_to_end_rows}

    def job(self, given: Given, parameters: str) -> Job:
        """See Task. Boxes of tensors are in their pixels, those of files in the picture's."""
        confidence = np.array([threshold(parameters, "confidence", self._settings.confidence)], np.float32)
        iou = np.array([threshold(parameters, "iou", self._settings.iou)])

        def rows(output: Floats) -> Floats:
            return detections_of(output, confidence, iou)[0]

        def fit(picture: Pixels) -> Opened:
            boxed = letterbox(picture, self._target)
            return Opened(boxed.pixels[None], lambda output: boxed.to_original(rows(output)))

        name = one_input(given, INPUTS)
        if name == "encoded":
            return PictureJob(list(given[name].reshape(-1)), self._settings.max_pixels, fit)
        return TensorJob(check_images(name, given[name], self._limits), rows)

    def outputs(self, answers: Sequence[Floats], wanted: Collection[str]) -> dict[str, NDArray[Any]]:
        """See Task."""
        counts = np.array([[len(rows)] for rows in answers], np.int32)
        padded = np.zeros((len(answers), int(counts.max()), 6), np.float32)
        for target, rows in zip(padded, answers, strict=True):
            target[: len(rows)] = rows
        return {"detections": padded, "num_detections": counts}
