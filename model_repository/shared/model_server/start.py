"""Starts the model with the fastest engine that can run it; one that cannot costs a line of the log, no more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model_server.choice import Choice
from model_server.cpu import Threads
from model_server.engine import Engine
from model_server.errors import LoadError
from model_server.gpu import Gpu, GpuRunner
from model_server.onnx_metadata import OnnxMetadata, Sibling
from model_server.runners import OnnxRuntimeRunner, OpenVinoRunner, Runner


@dataclass(frozen=True)
class Source:
    """A model to start.

    Attributes:
        content: its ONNX file.
        metadata: what that file says of itself.
        fetch: brings another file of the version; raises LoadError.
        gpu: the GPU, for the engines that need one.
        shapes: the most models that OpenVINO may compile for one shape alone.
        expected: (height, width) of images that will come, most of them first; not empty.
        check: raises LoadError where a model of the task that is served has no output of such a shape.
    """

    content: bytes
    metadata: OnnxMetadata
    fetch: Callable[[Sibling], bytes]
    gpu: Callable[[], Gpu]
    shapes: int
    expected: Sequence[tuple[int, int]]
    check: Callable[[tuple[int, ...]], None]


def start(
    source: Source,
    choices: Sequence[Choice],
    threads: Threads,
    by_itself: Callable[[], bool],
    most: int,
    log: Callable[[str], None],
) -> tuple[Engine, float]:
    """The model, loaded and warmed up with the first of the choices that can, and the seconds of one image.

    Args:
        source: the model.
        choices: what to try, in this order; not empty.
        threads: of the inference.
        by_itself: whether no other instance is at work now.
        most: images that an execution may have.
        log: told of each choice that failed.

    Raises:
        LoadError: none can; the reason is that of the last one.
    """
    *others, last = choices
    for choice, following in zip(others, choices[1:], strict=True):
        try:
            return _started(source, choice, threads, by_itself, most)
        except LoadError as error:
            log(f"not served with {choice}, next is {following}: {error}")
    return _started(source, last, threads, by_itself, most)


def _started(
    source: Source, choice: Choice, threads: Threads, by_itself: Callable[[], bool], most: int
) -> tuple[Engine, float]:
    engine = Engine(source.metadata, choice, _runner(source, choice, threads), threads, by_itself)
    try:
        return engine, engine.warm_up(source.expected[0], most, source.check)
    except LoadError:
        engine.close()
        raise


def _runner(source: Source, choice: Choice, threads: Threads) -> Runner:
    if choice.on_gpu:
        return GpuRunner(source.content, choice, source.gpu())
    if choice.engine == "onnxruntime":
        return OnnxRuntimeRunner(source.content, threads)
    content = source.content
    if choice.precision == "int8":
        if source.metadata.int8 is None:
            raise LoadError("its ONNX file names no INT8 file: train and register it again")
        content = source.fetch(source.metadata.int8)
    return OpenVinoRunner(content, threads, choice.precision, source.shapes, source.expected)
