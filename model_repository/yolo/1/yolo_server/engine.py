"""The loaded model: what its ONNX file says of itself, and running it with one of the runners."""

import ast
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from yolo_server.errors import LoadError, one_line
from yolo_server.postprocess import is_end_to_end
from yolo_server.runners import Images, OnnxRuntimeRunner, OpenVinoRunner, Runner, open_session

Floats = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine:
    """A loaded model.

    Attributes:
        name, precision: what runs it.
        stride: height and width of inputs are multiples of it.
        fixed: (batch, height, width) that the export fixed; None where any is right.
        end_to_end_rows: rows that an end-to-end model gives for each image; 0 for a raw one. Known after `warm_up`.
        class_names: as the export noted them; empty where it did not.
    """

    def __init__(self, content: bytes, threads: int, name: str = "onnxruntime", precision: str = "fp32") -> None:
        """Loads a model.

        Args:
            content: the ONNX file.
            threads: of the inference.
            name: `onnxruntime` or `openvino`.
            precision: `fp32`, or `bf16` with OpenVINO.

        Raises:
            LoadError: it is not an ONNX model that detects from one image tensor.
        """
        self.name, self.precision = name, precision
        session = open_session(content, threads, for_facts=name != "onnxruntime")
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in ("tensor(float)", "tensor(float16)"):
            found = "; ".join(f"{item.name} {item.type} {item.shape}" for item in inputs)
            raise LoadError(
                f"the model's inputs are {found}, but a detector takes one float tensor [N, 3, H, W]: export it with "
                "`yolo export format=onnx dynamic=True`"
            )
        batch, _, height, width = (size if isinstance(size, int) else None for size in inputs[0].shape)
        self.fixed: tuple[int | None, int | None, int | None] = (batch, height, width)
        self.end_to_end_rows = 0
        notes: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self.stride = int(notes["stride"]) if notes.get("stride", "").isdigit() else 32
        self.class_names = _names(notes.get("names", ""))
        self.image_size = _first_number(notes.get("imgsz", ""))
        self._runner: Runner = (
            OnnxRuntimeRunner(content, threads, session)
            if name == "onnxruntime"
            else OpenVinoRunner(content, threads, precision)
        )
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inference")

    @property
    def stacks(self) -> bool:
        """Whether the export takes several images only, so that they have to be stacked."""
        return self.fixed[0] not in (None, 1)

    def each(self, items: Sequence[Item], work: Callable[[Item, Callable[[Images], Floats]], Result]) -> list[Result]:
        """Results of `work` for each item, in their order; several items are worked on at the same time.

        `work` gets an item and what runs the model for one image (1, 3, H, W), whose output is valid until it is called
        again. It must not raise.
        """
        if len(items) == 1 or self._threads == 1:
            return [work(item, self.run) for item in items]
        return list(self._pool.map(lambda item: work(item, self._beside), items))

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def run(self, images: Images) -> Floats:
        """Output of the model for images (N, 3, H, W), bytes or floats 0-1; raw or final rows, see `postprocess`.

        It is valid until the next call.
        """
        batch = self.fixed[0]
        if batch is None or batch == len(images):
            return self._runner.alone(images).astype(np.float32, copy=False)
        parts = []
        for start in range(0, len(images), batch):
            part = images[start : start + batch]
            full = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
            parts.append(self._runner.alone(full)[: len(part)].astype(np.float32))
        return np.concatenate(parts)

    def warm_up(self, size: int) -> float:
        """Runs every way there is, so that no client pays for first allocations; returns the seconds of one image.

        Raises:
            LoadError: the model does not run, or its output is not that of a detector.
        """
        pixels = np.full((1, 3, self.fixed[1] or size, self.fixed[2] or size), 114, np.uint8)
        images = pixels.astype(np.float32) / np.float32(255)
        try:
            self.run(pixels)
            self._warm_up_threads(pixels, images)
            output = self.run(images)
        except Exception as error:
            raise LoadError(
                f"the model does not run on an image of {images.shape[3]}x{images.shape[2]} ({one_line(error)[:300]}): "
                "export it again with `dynamic=True`"
            ) from error
        if output.ndim != 3 or (output.shape[2] != 6 and output.shape[1] < 5):
            raise LoadError(
                f"the model's output has shape {list(output.shape)}, but a detector's is [N, 4 + classes, anchors] or "
                "[N, 300, 6]: export a detection model with `nms=False`"
            )
        self.end_to_end_rows = output.shape[1] if is_end_to_end(output.shape) else 0
        started = time.perf_counter()
        self.run(images)
        return time.perf_counter() - started

    def _warm_up_threads(self, pixels: Images, images: Images) -> None:
        if self._threads == 1 or self.stacks:
            return
        all_there = threading.Barrier(self._threads)

        def once(_: int) -> None:
            all_there.wait(60)  # so that no thread takes the turn of another one
            self._beside(pixels)
            self._beside(images)

        list(self._pool.map(once, range(self._threads)))

    def _beside(self, images: Images) -> Floats:
        return self._runner.beside(images).astype(np.float32, copy=False)


def _names(text: str) -> list[str]:
    """Class names from Ultralytics' note `{0: 'person', 1: ...}`."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    return [str(value[index]) for index in sorted(value)] if isinstance(value, dict) else []


def _first_number(text: str) -> int | None:
    """The first size of a note such as `[640, 640]`."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if isinstance(first, int) else None
