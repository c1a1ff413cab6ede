"""What a task has to bring. The commands and the training are the same for all."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from trainer.datasets.labelling import Labelling
from trainer.datasets.model import Dataset, Sample
from trainer.networks import Network, OnnxNetwork
from trainer.weights.reference import Forms

if TYPE_CHECKING:
    from PIL import Image


class Measurement(Protocol):
    """What a network is worth on a split."""

    @property
    def images(self) -> int:
        """How many were looked at."""

    @property
    def figures(self) -> dict[str, float]:
        """By the names that they have in MLflow behind the split's: ``{"mAP50": 0.93, …}``."""

    def write_csv(self, file: Path) -> None:
        """The table by class."""


class Agreement(Protocol):
    """How an export compares with the model that it was made of."""

    def to_json(self) -> dict[str, object]:
        """For the run's tag, with the tolerances."""

    @property
    def words(self) -> str:
        """For the log."""


class Task(ABC):
    """One kind of model. Methods import torch and Ultralytics themselves: ``prepare`` must not wait for them."""

    name: str
    """As ``--task`` and Ultralytics call it."""
    labelling: Labelling
    """What its datasets are."""
    forms: Forms
    """What ``--model`` may be."""
    epoch_figures: tuple[str, ...]
    """Figures of a validation that the log of an epoch names; in MLflow they begin with ``val/``."""
    renamed: ClassVar[Mapping[str, str]]
    """Parts of the names of Ultralytics' metrics that are others in MLflow's."""
    compared: tuple[str, ...]
    """Figures of the live version that are logged for the gate, the names of those of a ``Measurement``."""
    decisive: str
    """The figure of which a lower precision may cost little (see ``precision``)."""
    other_answers: str
    """What a lower precision does that is not to be served: "it finds other boxes"."""

    def part(self, module: str) -> Any:
        """A module of the task's folder, imported when it is needed: `export`, `agreement`, `measure`, `drawing` or
        `verification`, which have the functions that are called below.
        """
        return importlib.import_module(f"trainer.tasks.{self.name}.{module}")

    @abstractmethod
    def check_architecture(self, model: str, image_size: int, workspace: Path) -> None:
        """Raise InputError where an architecture cannot be trained for the task."""

    @abstractmethod
    def check_layers(self, model: Any, name: str, image_size: int) -> None:
        """Raise InputError where a loaded model is not one of the task; ``name``: of its weights."""

    def trust(self) -> None:  # noqa: B027 - most tasks need none
        """Let torch load the classes that a model of the task is made of, where they are not Ultralytics' own."""

    def architecture(self, model: str, workspace: Path, folder: Path, image_size: int) -> str:
        """What Ultralytics is given for an architecture; ``folder``: of the run, for a file that has to be made."""
        from trainer.architecture import find_architecture

        return find_architecture(model, workspace)

    @abstractmethod
    def data(self, dataset: Dataset) -> Path:
        """What Ultralytics is given for the dataset."""

    @abstractmethod
    def trainer(self) -> type[Any]:
        """Ultralytics' trainer of the task, with ``training.lifecycle.Lifecycle`` before it."""

    @abstractmethod
    def torch_network(self, weights: Path) -> Network:
        """The PyTorch model of a weights file, on the CPU in FP32."""

    def export(self, weights: Path, target: Path, image_size: int) -> Path:
        """Write the ONNX of a weights file to ``target``."""
        return self.part("export").export_onnx(weights, target, image_size)

    def prove(self, weights: Path, file: Path, images: list[Path], image_size: int) -> Agreement:
        """Prove that an ONNX says what the PyTorch model says, in batches that it was not traced with.

        Raises:
            Disagreement: it does not.
        """
        return self.part("agreement").prove_agreement(
            self.torch_network(weights), OnnxNetwork(file), images, image_size
        )

    @abstractmethod
    def read(self, image: Path, image_size: int) -> Any:
        """An image as the network is given it: RGB (h, w, 3) of bytes."""

    def note(self, file: Path, samples: list[Sample], image_size: int) -> None:  # noqa: B027
        """Note in an ONNX what the server wants to know besides; ``samples``: of the training split."""

    def in_floats(self, operations: list[str]) -> list[str]:
        """Operations of a graph that INT8 is not enough for, besides all that are no convolutions."""
        return []

    def measure(
        self,
        network: Network,
        samples: list[Sample],
        names: list[str],
        image_size: int,
        plots: Path | None = None,
    ) -> Measurement:
        """Run a network over samples as a client would, and compare with their labels; ``plots``: a folder for them."""
        return self.part("measure").measure(network, samples, names, image_size, plots)

    def draw_sample(self, sample: Sample, names: list[str]) -> Image.Image:
        """An image with its labels, to fill a tile."""
        return self.part("drawing").draw_sample(sample, names)

    def draw_answer(self, network: Network, sample: Sample, names: list[str], image_size: int) -> Image.Image:
        """A test image with what the ONNX says of it."""
        return self.part("drawing").draw_answer(network, sample, names, image_size)

    def write_verification(
        self,
        weights: Path,
        samples: list[Sample],
        names: list[str],
        image_size: int,
        folder: Path,
        lower: Mapping[str, Sequence[Network]],
    ) -> tuple[int, set[str]]:
        """Write the images that the server is checked with, and what the PyTorch model says of them.

        Args:
            weights: of the PyTorch model.
            samples: of the test split.
            names: of the classes.
            image_size: of the training, in pixels.
            folder: to write to.
            lower: the model in the precisions that the server may choose, in each way that it may compile it.

        Returns:
            How many images there are, and the precisions that must not be served, since they say something else.
        """
        return self.part("verification").write_verification(
            self.torch_network(weights), samples, names, image_size, folder, lower
        )
