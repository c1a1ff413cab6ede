"""The loaded model: one of the runners, and how the images of an execution are spread over it."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model_server.choice import Choice
from model_server.cpu import Threads
from model_server.errors import LoadError, one_line
from model_server.onnx_metadata import OnnxMetadata
from model_server.runners import Images, Runner

Floats = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine:
    """A loaded model.

    Attributes:
        choice: what runs it.
        metadata: what its ONNX file says of it.
        output: shape of the output for one image of the size that is expected. Known after `warm_up`.
    """

    def __init__(
        self, metadata: OnnxMetadata, choice: Choice, runner: Runner, threads: Threads, by_itself: Callable[[], bool]
    ) -> None:
        """Takes a model that a runner has loaded.

        Args:
            metadata: what its ONNX file says of it.
            choice: what runs it.
            runner: it, loaded with the same threads.
            threads: that work on the images of an execution.
            by_itself: whether no other instance is at work now, so that one image may have all processors.
        """
        self.metadata, self.choice = metadata, choice
        self.output: tuple[int, ...] = ()
        self._runner = runner
        self._all_threads, self._threads = threads.alone, threads.beside
        self._by_itself = by_itself
        self._pool = ThreadPoolExecutor(threads.beside, thread_name_prefix="inference")

    @property
    def stacks(self) -> bool:
        """Whether images of one execution are stacked: on a GPU, and where the export takes several images only."""
        return self.metadata.fixed[0] not in (None, 1) or (self.choice.on_gpu and self.metadata.fixed[0] is None)

    def each(self, items: Sequence[Item], work: Callable[[Item, Callable[[Images], Floats]], Result]) -> list[Result]:
        """Results of `work` for each item, in their order; several items are worked on at the same time.

        `work` gets an item and what runs the model for one image (1, 3, H, W), whose output is valid until it is called
        again. It must not raise.
        """
        split = len(items) - self._alone(len(items))
        beside = list(self._pool.map(lambda item: work(item, self._beside), items[:split]))
        return beside + [work(item, self._run_next) for item in items[split:]]

    def _run_next(self, images: Images) -> Floats:
        return self.run(images) if self._by_itself() else self._beside(images)

    def _alone(self, items: int) -> int:
        """How many of them get all threads, one after the other: those that would leave half of the threads idle."""
        if self._threads == 1:
            return items
        few = items % self._threads
        return few if few <= self._threads // 2 else 0

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        self._runner.close()

    def run(self, images: Images) -> Floats:
        """Output of the model for images (N, 3, H, W), bytes or floats 0-1; raw or final rows, see `postprocess`.

        It is valid until the next call.
        """
        batch = self.metadata.fixed[0]
        if batch is None or batch == len(images):
            return self._runner.alone(images).astype(np.float32, copy=False)
        parts = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            full = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
            parts.append(self._runner.alone(full)[: len(part)].astype(np.float32))
        return np.concatenate(parts)

    def warm_up(self, sides: tuple[int, int], most: int, check: Callable[[tuple[int, ...]], None]) -> float:
        """Runs every way there is, so that no client pays for first allocations; returns the seconds of one image.

        Args:
            sides: height and width of the images that are expected.
            most: images that an execution may have, where they are stacked: TensorRT builds for one and for so many.
            check: raises LoadError where a model of the task that is served has no output of such a shape.

        Raises:
            LoadError: the model does not run, or its output is not that of the task.
        """
        _, height, width = self.metadata.fixed
        pixels = np.full((1, 3, height or sides[0], width or sides[1]), 114, np.uint8)
        images = pixels.astype(np.float32) / np.float32(255)
        try:
            self.run(pixels)
            self._warm_up_threads(pixels, images)
            if self.stacks:
                self.run(np.repeat(images, most, axis=0))
            output = self.run(images)
        except Exception as error:
            raise LoadError(
                f"the model does not run on an image of {images.shape[3]}x{images.shape[2]} ({one_line(error)[:300]}): "
                "export it again with `dynamic=True`"
            ) from error
        check(output.shape)
        self.output = output.shape
        started = time.perf_counter()
        self.run(images)
        return time.perf_counter() - started

    def _warm_up_threads(self, pixels: Images, images: Images) -> None:
        if self._all_threads == 1 or self.stacks:
            return
        if self._threads < self._all_threads:  # there are other instances: what runs here while one is at work
            self._beside(pixels)
            self._beside(images)
        if self._threads == 1:
            return
        all_there = threading.Barrier(self._threads)

        def once(_: int) -> None:
            all_there.wait(60)  # so that no thread takes the turn of another one
            self._beside(pixels)
            self._beside(images)

        list(self._pool.map(once, range(self._threads)))

    def _beside(self, images: Images) -> Floats:
        return self._runner.beside(images).astype(np.float32, copy=False)
