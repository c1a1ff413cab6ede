"""The task ``detect``: objects in boxes, by a YOLO network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trainer.datasets.model import Dataset, Sample
from trainer.networks import Network, OnnxNetwork
from trainer.tasks.detect.architecture import check_architecture, check_layers
from trainer.tasks.detect.decoding import decoding
from trainer.tasks.detect.labelling import BOXES
from trainer.tasks.task import Agreement, Measurement, Task
from trainer.weights.reference import Forms

if TYPE_CHECKING:
    from PIL import Image


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

    def export(self, weights: Path, target: Path, image_size: int) -> Path:
        from trainer.tasks.detect.export import export_onnx

        return export_onnx(weights, target, image_size)

    def prove(self, weights: Path, file: Path, images: list[Path], image_size: int) -> Agreement:
        from trainer.tasks.detect.agreement import prove_agreement

        return prove_agreement(self.torch_network(weights), OnnxNetwork(file), images, image_size)

    def read(self, image: Path, image_size: int) -> Any:
        from trainer.tasks.detect.detection import read_letterboxed

        return read_letterboxed(image, image_size, image_size)

    def note(self, file: Path, samples: list[Sample], image_size: int) -> None:
        from trainer.tasks.detect.served_shapes import add_shapes

        add_shapes(file, samples, image_size)

    def in_floats(self, operations: list[str]) -> list[str]:
        return decoding(operations)

    def measure(
        self,
        network: Network,
        samples: list[Sample],
        names: list[str],
        image_size: int,
        plots: Path | None = None,
    ) -> Measurement:
        from trainer.tasks.detect.measure import measure

        return measure(network, samples, names, image_size, plots)

    def draw_sample(self, sample: Sample, names: list[str]) -> Image.Image:
        from trainer.tasks.detect.drawing import draw_sample

        return draw_sample(sample, names)

    def draw_answer(self, network: Network, sample: Sample, names: list[str], image_size: int) -> Image.Image:
        from trainer.tasks.detect.drawing import draw_answer

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
        from trainer.tasks.detect.verification import write_verification

        return write_verification(self.torch_network(weights), samples, names, image_size, folder, lower)


TASK = Detect()
