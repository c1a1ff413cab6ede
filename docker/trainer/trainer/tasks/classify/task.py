"""The task ``classify``: the class of an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.datasets.model import Dataset
from trainer.networks import Network
from trainer.tasks.classify import networks
from trainer.tasks.classify.labelling import CLASSES
from trainer.tasks.task import Task
from trainer.weights.reference import Forms

if TYPE_CHECKING:
    pass


class Classify(Task):
    """See ``Task`` for what its methods do."""

    name = "classify"
    labelling = CLASSES
    forms = Forms(
        "a network of torchvision (resnet18) or an architecture (yolo11n-cls.yaml)",
        "yolo11n-cls.pt",
        networks.torchvision_networks,
    )
    epoch_figures = ("top1", "top5")
    renamed: ClassVar[Mapping[str, str]] = {"accuracy_": ""}
    compared = ("top1", "top5")
    decisive = "top1"
    other_answers = "it says something else"

    def check_architecture(self, model: str, image_size: int, workspace: Path) -> None:
        networks.check_architecture(model, workspace)

    def check_layers(self, model: Any, name: str, image_size: int) -> None:
        networks.check_layers(model, name)

    def trust(self) -> None:
        networks.trust()

    def architecture(self, model: str, workspace: Path, folder: Path, image_size: int) -> str:
        if model in networks.torchvision_networks():
            return str(networks.write_architecture(model, folder, image_size))
        return super().architecture(model, workspace, folder, image_size)

    def data(self, dataset: Dataset) -> Path:
        return dataset.root

    def trainer(self) -> type[Any]:
        from trainer.tasks.classify.training import ClassifyTrainer

        return ClassifyTrainer

    def torch_network(self, weights: Path) -> Network:
        return networks.TorchClassifier(weights)

    def read(self, image: Path, image_size: int) -> Any:
        from trainer.tasks.classify.pictures import read_fitted

        return read_fitted(image, image_size)


TASK = Classify()
