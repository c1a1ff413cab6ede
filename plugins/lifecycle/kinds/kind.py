"""What a kind has to say of itself, besides how its answers are proved (see `answers`)."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from PIL import Image
    from yolo_client import ServedModel


class Part(BaseModel):
    """A mapping of a pipeline's file: no key but those that are known, and no guess at a value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Gate(Part):
    """What a candidate has to reach on the held-out split before it is registered. A kind adds its least figure."""

    max_regression: float = Field(
        default=0.01,
        title="Largest loss against the live version",
        ge=0,
        le=1,
        description="A candidate whose figure is lower than the live version's by more than this is not promoted.",
    )


@dataclass(frozen=True)
class Kind:
    """One kind of model.

    Attributes:
        name: the pipeline's `task`, the trainer's `--task`.
        title: how a page calls such a model: "YOLO detector".
        noun: the same as the end of a name: "detector".
        start: what a new pipeline's file trains from.
        image_size: that it trains at.
        figures: names of what `evaluate` measures, behind the split's; the gate decides on the first.
        least: the gate's key for the least of the first figure.
        gate: what a pipeline's file may say of it.
        template: the folder of `model_repository/` that serves it; empty: the chart's own choice.
        output: of a served model, one that no other kind has.
    """

    name: str
    title: str
    noun: str
    start: str
    image_size: int
    figures: tuple[str, ...]
    least: str
    gate: type[Gate]
    output: str
    template: str = ""

    @property
    def decisive(self) -> str:
        """The figure that the gate decides on."""
        return self.figures[0]

    @property
    def answers(self) -> Answers:
        """How its answers are proved; brings numpy and the client."""
        return cast(Answers, importlib.import_module(f"lifecycle.kinds.{self.name}.answers"))


class Sample(Protocol):
    """One verification picture, with what is expected of it."""

    @property
    def file(self) -> str:
        """Its name."""


class SampleSet(Protocol):
    """Everything in `verification/`."""

    @property
    def samples(self) -> tuple[Any, ...]:
        """The pictures."""


class Compared(Protocol):
    """One picture whose answer was the expected one."""

    @property
    def matches(self) -> int:
        """How many things in it were compared."""

    def picture(self, served: ServedModel) -> Image.Image:
        """The picture with the answer on it."""


class Server(Protocol):
    """A served model, to be used as a context."""

    def __enter__(self) -> Server: ...

    def __exit__(self, *error: object) -> None: ...

    def served(self) -> ServedModel:
        """Which version is loaded, by its own account."""

    def ask(self, sample: Any, samples: Any) -> tuple[Any, ServedModel]:
        """The answer to a picture, and who gave it."""

    def time(self, sample: Any) -> None:
        """Ask as a client does, for the time that it takes."""


class Answers(Protocol):
    """The module `answers` of a kind."""

    THINGS: str  # what is compared in pictures: "boxes"

    def read_samples(self, folder: Path) -> SampleSet:
        """Read `verification/`.

        Raises:
            SamplesUnusable: a file is missing or is not what the evaluation writes.
        """

    def connect(self, url: str, model: str, protocol: str, timeout: float) -> Server:
        """A server of such a model; nothing is asked yet."""

    def compare(self, sample: Any, found: Any, samples: Any) -> Compared:
        """Compare an answer with what is expected.

        Raises:
            AnswersDiffer: they are not the same; the message names the picture.
        """
