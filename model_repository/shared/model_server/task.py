"""What a task is to the server: all that differs between a detector and a classifier. Each template implements it once.

A new task is a folder beside the others, with such a class in its package, a model.py that names it, and a config.pbtxt
with its inputs and outputs. Nothing in this package knows one task from another.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from model_server.errors import LoadError
from model_server.onnx_metadata import OnnxMetadata
from model_server.request import Floats, Given, Job
from model_server.settings import Settings


@dataclass(frozen=True)
class Loaded:
    """A version that runs, as its task is told of it.

    Attributes:
        settings: of the server.
        metadata: what the ONNX file says of itself.
        class_names: of the version; empty where nobody noted them.
        image_size: that it was trained for, pixels.
        output: shape of its output for one image of that size.
    """

    settings: Settings
    metadata: OnnxMetadata
    class_names: list[str]
    image_size: int
    output: tuple[int, ...]


class Task(Protocol):
    """One version's task. `name` is Ultralytics' word for it, which the export notes as `task`; `kind` a person's."""

    name: ClassVar[str]
    kind: ClassVar[str]

    def __init__(self, loaded: Loaded) -> None:
        """Takes a version that runs, and whose output `check_output` passed.

        Raises:
            LoadError: it cannot be served as this task.
        """

    @staticmethod
    def check_output(shape: tuple[int, ...]) -> None:
        """Whether the output for one image is that of such a model.

        Raises:
            LoadError: it is not; the message says what is.
        """

    @property
    def info(self) -> Mapping[str, object]:
        """What `model_info` tells beyond that which it tells of every version."""

    def job(self, given: Given, parameters: str) -> Job:
        """A request, checked.

        Args:
            given: the inputs that are in the request, by the names of config.pbtxt.
            parameters: the request's own, a JSON object, as Triton gives them.

        Raises:
            RequestError: it cannot be answered.
        """

    def outputs(self, answers: Sequence[Floats], wanted: Collection[str]) -> dict[str, NDArray[Any]]:
        """The outputs of a request by the names of config.pbtxt, at least those that are wanted.

        Args:
            answers: what the request's job made of each of its images.
            wanted: names of outputs.
        """


def check_task(task: type[Task], noted: str, title: str) -> None:
    """Whether a version is one for the task that is served here, by its export's note; without a note, it may be.

    Raises:
        LoadError: it is for another one.
    """
    if noted and noted != task.name:
        raise LoadError(
            f"{title} is exported for the task {noted!r}, as its ONNX file notes, but this template serves "
            f"{task.name!r} ({task.kind}): name the template of {noted!r} in the model's entry of the values file "
            f"(`template`; model_repository/README.md lists them), or pin a version of {task.kind}"
        )
