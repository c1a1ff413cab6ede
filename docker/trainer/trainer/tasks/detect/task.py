"""The task ``detect``: objects in boxes, by a YOLO network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.datasets.model import Dataset, Sample
from trainer.networks import Network
from trainer.tasks.detect.architecture import check_architecture, check_layers
from trainer.tasks.detect.decoding import decoding
from trainer.tasks.detect.labelling import BOXES
from trainer.tasks.task import Task
from trainer.weights.reference import Forms

if TYPE_CHECKING:
    pass


class Detect(Task):
    """See ``Task`` for what its methods do."""

    name = "detect"
    labelling = BOXES
    forms = Forms("an architecture (yolo11n.yaml)", "yolo11n.pt")
    epoch_figures = ("mAP50", "mAP50-95")
    renamed: ClassVar[Mapping[str, str]] = {"(B)": ""}
    compared = ("mAP50", "mAP50-95")
    decisive = "mAP50-95"
    other_answers = "it finds other boxes"

    def check_architecture(self, model: str, image_size: int, workspace: Path) -> None:
        check_architecture(model, image_size, workspace)

    def check_layers(self, model: Any, name: str, image_size: int) -> None:
        check_layers(model, name, image_size)

    def data(self, dataset: Dataset) -> Path:
        return dataset.data_yaml

    def trainer(self) -> type[Any]:
        from trainer.tasks.detect.training import DetectTrainer

        return DetectTrainer

    def torch_network(self, weights: Path) -> Network:
        from trainer.tasks.detect.detection import TorchDetector

        return TorchDetector(weights)

    def read(self, image: Path, image_size: int) -> Any:
        from trainer.tasks.detect.detection import read_letterboxed

        return read_letterboxed(image, image_size, image_size)

    def note(self, file: Path, samples: list[Sample], image_size: int) -> None:
        from trainer.tasks.detect.served_shapes import add_shapes

        add_shapes(file, samples, image_size)

    def in_floats(self, operations: list[str]) -> list[str]:
        return decoding(operations)


TASK = Detect()
