"""A typed client of the served detector, for HTTP and gRPC. For asyncio, see async_client.py.

with Detector("http://127.0.0.1:8000", "digits") as detector:
    rows = detector.detect([picture])[0]      # (n, 6): x1, y1, x2, y2, confidence, class, in the picture's pixels
    rows = detector.detect_encoded([Path("photo.jpg")])[0]      # the same from a file, decoded by the server
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yolo_client.calls import Answer, DetectorCalls, Result, Steps
from yolo_client.letterbox import Floats, Pixels
from yolo_client.served import ServedModel
from yolo_client.transport import Protocol, Transport

__all__ = ["Answer", "Detector", "Protocol"]


class Detector:
    """One served model. Not for use by several threads at once.

    Args:
        url: `http://host:port`, `https://host:port` or `host:port`; the port of the chosen protocol.
        model: Triton's name of the model.
        protocol: `http` or `grpc`.
        timeout: seconds for one call.

    Every method raises NotServing where nothing (ready) answers in time, and RequestRefused where the server says what
    is wrong with the request. A call whose connection was ended without an answer, as by a pod that went, is made once
    more on a new one.
    """

    def __init__(self, url: str, model: str, protocol: Protocol = "http", timeout: float = 30.0) -> None:
        self.url = url
        self.model = model
        self.protocol = protocol
        self._transport = Transport(url, protocol, timeout)
        self._ask = DetectorCalls(self._transport, model)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        if client := self._transport.release():
            client.close()

    def ready(self) -> bool:
        """Whether the model can answer now; False too where nothing listens."""
        return self._run(self._ask.ready())

    def takes_files(self) -> bool:
        """Whether `detect_encoded` can be answered now: `<model>_encoded` is served too."""
        return self._run(self._ask.takes_files())

    def config(self) -> dict[str, Any]:
        """Triton's configuration of the model, as a JSON object."""
        return self._run(self._ask.config())

    def served(self) -> ServedModel:
        """Asks which version is loaded, and checks that the model's configuration says the same.

        Raises:
            WrongModelServed: it does not, or what answers is no detector of this project.
        """
        return self._run(self._ask.served())

    def detect(
        self,
        images: Sequence[Pixels],
        size: int | tuple[int, int] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
    ) -> list[Floats]:
        """Finds objects in pictures of any sizes; as many requests as the model's batch size makes of them.

        Args:
            images: RGB, uint8, (height, width, 3) each.
            size: side (or height and width) to letterbox to, a multiple of 32; None: what the model was trained for.
            confidence: least confidence, 0-1; None: the server's own.
            iou: overlap above which one of two boxes goes, 0-1; None: the server's own.

        Returns:
            For each picture (n, 6): x1, y1, x2, y2 in its own pixels, confidence, class; most confident first.
        """
        return self._run(self._ask.detect(images, size, confidence, iou))

    def detect_encoded(
        self, pictures: Sequence[bytes | Path], confidence: float | None = None, iou: float | None = None
    ) -> list[Floats]:
        """Finds objects in picture files (JPEG, PNG, WebP): the model `<model>_encoded` decodes and letterboxes them.

        Args:
            pictures: the bytes of each file, or where it is.
            confidence, iou: as in `detect`.

        Returns:
            For each picture the rows (n, 6), boxes in pixels of the upright picture; most confident first.

        Raises:
            OSError: a file cannot be read.
        """
        return self._run(self._ask.detect_encoded(pictures, confidence, iou))

    def infer(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> list[Floats]:
        """Sends one batch of letterboxed images, (n, 3, height, width), 0-1.

        Returns:
            For each image the rows (n, 6), boxes in pixels of the letterboxed image and not clipped to it.
        """
        return self._run(self._ask.infer(tensor, confidence, iou))

    def infer_and_tell(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> Answer:
        """The same, and in the same answer which version gave it: behind a Service, each may come from another pod."""
        return self._run(self._ask.infer_and_tell(tensor, confidence, iou))

    def _run(self, steps: Steps[Result]) -> Result:
        """Makes the calls that `DetectorCalls` asks for."""
        resume: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            try:
                call = resume(value)
            except StopIteration as end:
                result: Result = end.value
                return result
            try:
                resume, value = steps.send, self._transport.start(call)
            except Exception as error:  # DetectorCalls knows what it means
                resume, value = steps.throw, error
