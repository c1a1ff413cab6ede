"""What is asked of a served detector, and how its answers are read: the same for the blocking and the asyncio client.

Nothing here waits. Every method of `DetectorCalls` is a generator that yields the `Call`s that it needs, is sent the
result of each (or is thrown its exception), and returns what the client's method of that name returns.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from yolo_client.errors import DetectorError
from yolo_client.letterbox import Floats, Pixels, letterbox
from yolo_client.served import ServedModel, check_against_config, parse_model_info
from yolo_client.transport import Call, Transport

Result = TypeVar("Result")
Steps = Generator[Call, Any, Result]

# A model of picture files is served beside its tensor model under this name (model_repository/yolo_encoded).
ENCODED = "_encoded"
# The smallest picture that every request needs; nothing is inferred when model_info alone is asked for.
PROBE = np.zeros((1, 3, 32, 32), np.float32)
BOXES = ("detections", "num_detections")


@dataclass(frozen=True)
class Answer:
    """One answer to a batch: for each image the rows (n, 6) in input pixels, and which model gave them."""

    rows: list[Floats]
    served: ServedModel


class DetectorCalls:
    """What clients of one served model have in common; see `yolo_client.Detector` for each method."""

    def __init__(self, transport: Transport, model: str) -> None:
        self._transport = transport
        self._model = model
        self._encoded = model if model.endswith(ENCODED) else model + ENCODED
        self._served: ServedModel | None = None
        self._max_batch: dict[str, int] = {}

    def ready(self, model: str | None = None) -> Steps[bool]:
        """Whether the model can answer."""
        try:
            answer = yield from self._ask(Call("is_model_ready", model or self._model))
        except DetectorError:
            return False
        return bool(answer)

    def takes_files(self) -> Steps[bool]:
        """Whether the model of picture files can answer."""
        return (yield from self.ready(self._encoded))

    def config(self, model: str | None = None) -> Steps[dict[str, Any]]:
        """Triton's configuration."""
        answer = yield from self._ask(Call("get_model_config", model or self._model))
        config: dict[str, Any] = answer["config"] if self._transport.protocol == "grpc" else answer
        self._max_batch[model or self._model] = int(config.get("max_batch_size", 0)) or 1
        return config

    def served(self) -> Steps[ServedModel]:
        """What is loaded, by its own account."""
        answer = yield from self._infer({"images": PROBE}, {}, ("model_info",))
        told = parse_model_info(answer.as_numpy("model_info"))
        self._served = check_against_config(told, (yield from self.config()))
        return self._served

    def detect(
        self, images: Sequence[Pixels], size: int | tuple[int, int] | None, confidence: float | None, iou: float | None
    ) -> Steps[list[Floats]]:
        """Rows for pictures."""
        served = self._served or (yield from self.served())
        most = self._max_batch[self._model]
        found: list[Floats] = []
        for start in range(0, len(images), most):
            boxed = [letterbox(image, size or served.image_size) for image in images[start : start + most]]
            answer = yield from self.infer(np.stack([tensor for tensor, _ in boxed]), confidence, iou)
            found += [place.to_original(rows) for rows, (_, place) in zip(answer, boxed, strict=True)]
        return found

    def detect_encoded(
        self, pictures: Sequence[bytes | Path], confidence: float | None, iou: float | None
    ) -> Steps[list[Floats]]:
        """Rows for picture files."""
        if self._encoded not in self._max_batch:
            yield from self.config(self._encoded)
        most = self._max_batch[self._encoded]
        found: list[Floats] = []
        for start in range(0, len(pictures), most):
            contents = [
                each.read_bytes() if isinstance(each, Path) else each for each in pictures[start : start + most]
            ]
            batch = np.array([[content] for content in contents], dtype=np.object_)
            answer = yield from self._infer({"encoded": batch}, _thresholds(confidence, iou), BOXES, self._encoded)
            found += _rows(answer)
        return found

    def infer(self, tensor: Floats, confidence: float | None, iou: float | None) -> Steps[list[Floats]]:
        """Rows for letterboxed images."""
        batch = np.asarray(tensor, np.float32)
        return _rows((yield from self._infer({"images": batch}, _thresholds(confidence, iou), BOXES)))

    def infer_and_tell(self, tensor: Floats, confidence: float | None, iou: float | None) -> Steps[Answer]:
        """Rows for letterboxed images, and who gave them."""
        batch = np.asarray(tensor, np.float32)
        answer = yield from self._infer({"images": batch}, _thresholds(confidence, iou), (*BOXES, "model_info"))
        return Answer(_rows(answer), parse_model_info(answer.as_numpy("model_info")))

    def _infer(
        self,
        inputs: Mapping[str, NDArray[Any]],
        thresholds: Mapping[str, float],
        outputs: Sequence[str],
        model: str | None = None,
    ) -> Steps[Any]:
        return (yield from self._ask(Call("infer", model or self._model, inputs, outputs, thresholds)))

    def _ask(self, call: Call) -> Steps[Any]:
        """One call, retried once where its connection ended without an answer; its errors become `DetectorError`s."""
        try:
            return (yield call)
        except Exception as error:
            if not self._transport.lost(error):
                self._raise(error, call)
        try:
            return (yield call)
        except Exception as error:
            self._raise(error, call)

    def _raise(self, error: Exception, call: Call) -> NoReturn:
        if known := self._transport.explain(error, call.model):
            raise known from error
        raise error


def _thresholds(confidence: float | None, iou: float | None) -> dict[str, float]:
    """The request parameters that are set."""
    return {key: value for key, value in (("confidence", confidence), ("iou", iou)) if value is not None}


def _rows(answer: Any) -> list[Floats]:
    """Cuts the padding off each image's rows."""
    counts: NDArray[np.int32] = answer.as_numpy("num_detections").reshape(-1)
    return [each[:count] for each, count in zip(answer.as_numpy("detections"), counts, strict=True)]
