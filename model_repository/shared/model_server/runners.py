"""Run an ONNX model on the CPU: with ONNX Runtime, or with OpenVINO, which also computes in bf16 and INT8."""

import io
import os
import sys
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model_server.cpu import Threads
from model_server.errors import LoadError, one_line
from model_server.hot_shapes import HotShapes

if TYPE_CHECKING:
    import onnxruntime

Images = NDArray[Any]  # (N, 3, H, W): FP32 0-1 or bytes 0-255

# INT8 is in the quantized file itself; the hint is for what that file leaves in floats.
OPENVINO_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
# How many images of a shape make it one that comes often, and what the files of all models for one shape may sum up to.
OFTEN = 30
MOST_BYTES_OF_SHAPES = 128 << 20


class Runner(Protocol):
    """Something that runs the model, in two ways: for what is fastest depends on how many images there are.

    One image gets all threads. Several go one to a thread, each with its own memory: that costs a fifth less processor
    time an image than stacking them, and much less memory.
    """

    def alone(self, images: Images) -> NDArray[Any]:
        """The first output for images (N, 3, H, W), with all threads. Not for several threads at the same time."""

    def beside(self, images: Images) -> NDArray[Any]:
        """The same with one thread, for several threads at the same time; valid until the same thread's next call."""

    def close(self) -> None:
        """Ends what works beside the calls."""


class Way(NamedTuple):
    """How a model is run: an image alone with all threads, or beside others; bytes or floats; for which shape alone."""

    alone: bool
    of_bytes: bool
    shape: tuple[int, ...] = ()


class OnnxRuntimeRunner:
    """ONNX Runtime, FP32 (or what the export has)."""

    def __init__(self, content: bytes, threads: Threads) -> None:
        """Opens the model for an image alone and for one beside others.

        Raises:
            LoadError: ONNX Runtime cannot.
        """
        self._alone = session = open_session(content, threads.alone, metadata_only=False)
        self._beside = session if threads.alone == 1 else open_session(content, 1, metadata_only=False)
        self._input: str = session.get_inputs()[0].name
        self._output: str = session.get_outputs()[0].name
        self._dtype = np.float16 if session.get_inputs()[0].type == "tensor(float16)" else np.float32

    def alone(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        return self._run(self._alone, images)

    def beside(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        return self._run(self._beside, images)

    def close(self) -> None:
        """See Runner."""

    def _run(self, session: "onnxruntime.InferenceSession", images: Images) -> NDArray[Any]:
        values = as_floats(images).astype(self._dtype, copy=False)
        output: NDArray[Any] = session.run([self._output], {self._input: values})[0]
        return output


class OpenVinoRunner:
    """OpenVINO: FP32, bf16, or a file that is quantized to INT8.

    Bytes become floats inside the compiled model, which costs next to nothing there. A shape that is expected or comes
    often gets a model that is compiled for it alone: with height and width open, OpenVINO takes a fifth longer, because
    it can neither plan its memory nor fuse as much.
    """

    def __init__(
        self, content: bytes, threads: Threads, precision: str, shapes: int, expected: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Compiles the model for floats and for bytes, for an image alone and for one beside others.

        Args:
            content: the ONNX file, or the zipped one in INT8.
            threads: of the inference.
            precision: one of OPENVINO_PRECISIONS.
            shapes: the most models that are compiled for one shape alone.
            expected: (height, width) of images, of bytes, that will come often: the first of them have half of these
                models from the start.

        Raises:
            LoadError: OpenVINO cannot.
        """
        self._openvino = openvino = import_openvino()
        self._core = openvino.Core()
        self._threads = threads
        self._precision = OPENVINO_PRECISIONS[precision]
        self._parts = _unpacked(content) if precision == "int8" else (content,)
        both = (True, False)[: min(threads.alone, 2)]
        ways = [Way(alone, of_bytes) for alone in both for of_bytes in (False, True)]
        try:
            floats = self._core.read_model(*self._parts).inputs[0]
            self._float: np.dtype[Any] = floats.get_element_type().to_dtype()
            most = min(shapes, MOST_BYTES_OF_SHAPES // len(content)) if floats.get_partial_shape().is_dynamic else 0
            hot = [Way(alone, True, (1, 3, *sides)) for sides in expected for alone in both][: (most + 1) // 2]
            # Beside each other, for compiling takes nearly a second.
            with ThreadPoolExecutor(threads.alone) as pool:
                compiled = dict(zip([*ways, *hot], pool.map(self._compiled, [*ways, *hot]), strict=True))
        except RuntimeError as error:
            raise LoadError(
                f"OpenVINO {openvino.__version__} cannot load the model ({one_line(error)[:300]}): set MODEL_ENGINE to "
                "onnxruntime, or export the model again"
            ) from error
        self._models = {way: compiled[way] for way in ways}
        self._hot_shapes = HotShapes(self._compiled, most, OFTEN, {way: compiled[way] for way in hot})
        self._of_thread = threading.local()

    def alone(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        return self._infer(images, alone=True)

    def beside(self, images: Images) -> NDArray[Any]:
        """See Runner."""
        return self._infer(images, alone=self._threads.alone == 1)

    def close(self) -> None:
        """See Runner."""
        self._hot_shapes.close()

    def _compiled(self, way: Way) -> Any:
        model = self._core.read_model(*self._parts)
        if way.of_bytes:
            model = _taking_bytes(self._openvino, model)
        if way.shape:
            model.reshape(list(way.shape))
        threads = self._threads.alone if way.alone else self._threads.beside
        options = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "PERFORMANCE_HINT": "LATENCY" if way.alone else "THROUGHPUT",
            "NUM_STREAMS": 1 if way.alone else threads,
            "INFERENCE_NUM_THREADS": threads,
            # A thread on each processor that there is stays there; else the scheduler puts two on one now and then, and
            # the whole inference takes twice as long. Fewer threads would sit on the same ones as another server's.
            "ENABLE_CPU_PINNING": threads == len(os.sched_getaffinity(0)),
        }
        return self._core.compile_model(model, "CPU", options)

    def _infer(self, images: Images, alone: bool) -> NDArray[Any]:
        """Runs one image or several; nothing is copied on the way in or out."""
        of_bytes = images.dtype == np.uint8
        values = np.ascontiguousarray(images if of_bytes else images.astype(self._float, copy=False))
        way = Way(alone, of_bytes, values.shape)
        model = self._hot_shapes.find(way)
        if model is None:
            way = Way(alone, of_bytes)
            model = self._models[way]
        requests: dict[Way, Any] = self._of_thread.__dict__.setdefault("requests", {})
        if way not in requests:
            requests[way] = model.create_infer_request()
        output: NDArray[Any] = requests[way].infer({0: values}, share_inputs=True, share_outputs=True)[0]
        return output


def _unpacked(content: bytes) -> tuple[bytes, bytes]:
    """Graph and weights of a zipped model in OpenVINO's own format, as the training writes INT8.

    Raises:
        LoadError: it is something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read("model.xml"), archive.read("model.bin")
    except (zipfile.BadZipFile, KeyError) as error:
        raise LoadError(f"the INT8 file is not OpenVINO's ({one_line(error)}): train and register it again") from error


def _taking_bytes(openvino: Any, model: Any) -> Any:
    """The model with an input of bytes (0-255) in place of floats (0-1)."""
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8)
    steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()


def as_floats(images: Images) -> Images:
    """Bytes (0-255) to FP32 (0-1); floats stay the array that they are."""
    return np.multiply(images, np.float32(1 / 255), dtype=np.float32) if images.dtype == np.uint8 else images


def import_openvino() -> Any:
    """OpenVINO's module, without its telemetry.

    Importing it otherwise starts a process that posts to an analytics service and writes to the home folder. With None
    in the telemetry's place its import fails, and OpenVINO falls back to a stub of its own.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise LoadError(
            "OpenVINO is not installed here: serve with the image of docker/triton, or set MODEL_ENGINE to auto"
        ) from error

    return openvino


def open_session(content: bytes, threads: int, metadata_only: bool) -> "onnxruntime.InferenceSession":
    """Opens a model with ONNX Runtime; `metadata_only`: only to read its inputs and notes, so without optimising it.

    Raises:
        LoadError: it is not an ONNX model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait for work take a processor from whoever shares it, and the container's quota:
    # they may between the layers of a run, which makes it a quarter faster, but not between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if metadata_only:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        if "External data" in str(error):
            raise LoadError(
                "the model's weights are in a second file, which its sha256 does not cover: log it again with "
                "mlflow.onnx.log_model(..., save_as_external_data=False) and serve that version"
            ) from error
        raise LoadError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load the model ({one_line(error)[:300]}): export it again "
            "with a lower opset, or register the right file"
        ) from error
