"""The client of the served detector for asyncio: many requests in flight from one event loop.

async with AsyncDetector("http://127.0.0.1:8000", "digits") as detector:
    found = await asyncio.gather(*(detector.detect_encoded([path]) for path in paths))
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yolo_client.calls import Answer, DetectorCalls, Result, Steps
from yolo_client.letterbox import Floats, Pixels
from yolo_client.served import ServedModel
from yolo_client.transport import Protocol, Transport


class AsyncDetector:
    """One served model, for coroutines of one event loop, any number at the same time.

    Arguments, methods, errors and the second attempt after a lost connection are those of
    `yolo_client.Detector`. Over HTTP at most 100 connections are open; further requests wait for one, within
    their timeout.
    """

    def __init__(self, url: str, model: str, protocol: Protocol = "http", timeout: float = 30.0) -> None:
        self.url = url
        self.model = model
        self.protocol = protocol
        self._transport = Transport(url, protocol, timeout, asynchronous=True)
        self._ask = DetectorCalls(self._transport, model)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        if client := self._transport.release():
            await client.close()

    async def ready(self) -> bool:
        """Whether the model can answer now; False too where nothing listens."""
        return await self._run(self._ask.ready())

    async def takes_files(self) -> bool:
        """Whether `detect_encoded` can be answered now: `<model>_encoded` is served too."""
        return await self._run(self._ask.takes_files())

    async def config(self) -> dict[str, Any]:
        """Triton's configuration of the model, as a JSON object."""
        return await self._run(self._ask.config())

    async def served(self) -> ServedModel:
        """Which version is loaded; see `Detector.served`."""
        return await self._run(self._ask.served())

    async def detect(
        self,
        images: Sequence[Pixels],
        size: int | tuple[int, int] | None = None,
        confidence: float | None = None,
        iou: float | None = None,
    ) -> list[Floats]:
        """Rows (n, 6) for each picture (height, width, 3); see `Detector.detect`.

        The event loop stands still while a picture is letterboxed, some milliseconds a megapixel: where that matters,
        send files.
        """
        return await self._run(self._ask.detect(images, size, confidence, iou))

    async def detect_encoded(
        self, pictures: Sequence[bytes | Path], confidence: float | None = None, iou: float | None = None
    ) -> list[Floats]:
        """Rows (n, 6) for each picture file; see `Detector.detect_encoded`."""
        return await self._run(self._ask.detect_encoded(pictures, confidence, iou))

    async def infer(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> list[Floats]:
        """Rows (n, 6) for each image of a batch (n, 3, height, width), 0-1; see `Detector.infer`."""
        return await self._run(self._ask.infer(tensor, confidence, iou))

    async def infer_and_tell(self, tensor: Floats, confidence: float | None = None, iou: float | None = None) -> Answer:
        """The same, and in the same answer which version gave it."""
        return await self._run(self._ask.infer_and_tell(tensor, confidence, iou))

    async def _run(self, steps: Steps[Result]) -> Result:
        """Awaits the calls that `DetectorCalls` asks for."""
        resume: Callable[[Any], Any] = steps.send
        value: Any = None
        while True:
            try:
                call = resume(value)
            except StopIteration as end:
                result: Result = end.value
                return result
            try:
                resume, value = steps.send, await self._transport.start(call)
            except Exception as error:  # DetectorCalls knows what it means
                resume, value = steps.throw, error
