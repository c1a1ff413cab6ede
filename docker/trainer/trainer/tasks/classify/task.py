"""The task ``classify``: the class of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.datasets.model import Dataset, Sample
from trainer.networks import Network, OnnxNetwork
from trainer.tasks.classify import networks
from trainer.tasks.classify.labelling import CLASSES
from trainer.tasks.task import Agreement, Measurement, Task
from trainer.weights.reference import Forms

if TYPE_CHECKING:
    from PIL import Image


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

    def export(self, weights: Path, target: Path, image_size: int) -> Path:
        from trainer.tasks.classify.export import export_onnx

        return export_onnx(weights, target, image_size)

    def prove(self, weights: Path, file: Path, images: list[Path], image_size: int) -> Agreement:
        from trainer.tasks.classify.agreement import prove_agreement

        return prove_agreement(self.torch_network(weights), OnnxNetwork(file), images, image_size)

    def read(self, image: Path, image_size: int) -> Any:
        from trainer.tasks.classify.pictures import read_fitted

        return read_fitted(image, image_size)

    def measure(
        self,
        network: Network,
        samples: list[Sample],
        names: list[str],
        image_size: int,
        plots: Path | None = None,
    ) -> Measurement:
        from trainer.tasks.classify.measure import measure

        return measure(network, samples, names, image_size, plots)

    def draw_sample(self, sample: Sample, names: list[str]) -> Image.Image:
        from trainer.tasks.classify.drawing import draw_sample

        return draw_sample(sample, names)

    def draw_answer(self, network: Network, sample: Sample, names: list[str], image_size: int) -> Image.Image:
        from trainer.tasks.classify.drawing import draw_answer

        return draw_answer(network, sample, names, image_size)

    def write_verification(
        self,
        weights: Path,
        samples: list[Sample],
        names: list[str],
        image_size: int,
        folder: Path,
        lower: Mapping[str, Sequence[Network]],
    ) -> tuple[int, set[str]]:
        from trainer.tasks.classify.verification import write_verification

        return write_verification(self.torch_network(weights), samples, names, image_size, folder, lower)


TASK = Classify()
