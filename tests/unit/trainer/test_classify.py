"""What is measured of a classifier, what is proved of its export, and which images the server is checked with."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from trainer import runtime

# As runtime.start sets it: Ultralytics reads it when it is imported.
os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
runtime.register_nms()

from trainer.datasets.model import Sample  # noqa: E402
from trainer.errors import Disagreement, InputError  # noqa: E402
from trainer.tasks import find  # noqa: E402
from trainer.tasks.classify.agreement import prove_agreement  # noqa: E402
from trainer.tasks.classify.measure import summarise  # noqa: E402
from trainer.tasks.classify.networks import torchvision_networks, write_architecture  # noqa: E402
from trainer.tasks.classify.pictures import fit  # noqa: E402
from trainer.tasks.classify.verification import by_turns, write_verification  # noqa: E402

from conftest import write_image  # noqa: E402

SIZE = 32
FORMS = find("classify").forms


class Says:
    """A network that is sure of a class by the brightness of a picture, of three; ``skew`` moves its probabilities."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """(n, 3)."""
        best = (batch.mean((1, 2, 3)) * 2.999).astype(int)
        scores = np.full((len(batch), 3), 0.05 + self.skew / 2, np.float32)
        scores[np.arange(len(batch)), best] = 0.9 - self.skew
        return scores


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Twelve pictures, four of each brightness, by class."""
    made = []
    for number in range(12):
        image = tmp_path / f"{number}.png"
        Image.new("RGB", (SIZE + number, SIZE), (40 + number // 4 * 90,) * 3).save(image)
        made.append(Sample(image.name, image, None, rows=str(number // 4)))
    return made


@pytest.mark.parametrize("shape", [(32, 32), (28, 28), (48, 33), (33, 71), (640, 427), (10, 300), (224, 225)])
def test_a_picture_is_fitted_as_ultralytics_validates(shape: tuple[int, int]) -> None:
    from ultralytics.data.augment import classify_transforms

    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = classify_transforms(SIZE)(Image.fromarray(picture)).numpy()
    found = fit(picture, SIZE).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(found, expected)


def test_top_1_top_5_and_the_confusion_matrix_are_counted_image_by_image() -> None:
    rng = np.random.default_rng(0)
    scores, actual = rng.random((200, 8)), rng.integers(0, 7, 200)  # one class does not occur
    found = summarise(np.argsort(-scores, 1)[:, :5], actual, [f"c{number}" for number in range(8)])
    ranked = [sorted(range(8), key=lambda number, row=row: -row[number]) for row in scores]  # type: ignore[misc]
    assert found.top1 == sum(best[0] == wanted for best, wanted in zip(ranked, actual, strict=True)) / 200
    assert found.top5 == sum(wanted in best[:5] for best, wanted in zip(ranked, actual, strict=True)) / 200
    pairs = Counter((int(wanted), best[0]) for best, wanted in zip(ranked, actual, strict=True))
    assert {(row, column): found.confusion[row, column] for row, column in pairs} == pairs
    assert found.confusion.sum() == 200
    for name, images, top1, _, precision in found.by_class:
        number = int(name[1:])
        assert images == sum(actual == number)
        assert top1 == pytest.approx(pairs[number, number] / images)
        assert precision == pytest.approx(pairs[number, number] / sum(best[0] == number for best in ranked))
    assert [row[0] for row in found.by_class] == [f"c{number}" for number in range(7)]


def test_an_export_that_says_something_else_is_refused(samples: list[Sample]) -> None:
    images = [sample.image for sample in samples]
    agreement = prove_agreement(Says(), Says(0.001), images, SIZE)
    assert (agreement.comparisons, agreement.largest_difference) == (36, pytest.approx(0.001, abs=1e-5))
    with pytest.raises(Disagreement, match=r"probabilities differ by up to 0\.0100"):
        prove_agreement(Says(), Says(0.01), images, SIZE)

    class First(Says):
        def raw(self, batch: np.ndarray) -> np.ndarray:
            """As an export that is right about the first image of a batch alone."""
            return np.repeat(super().raw(batch)[:1], len(batch), 0)

    with pytest.raises(Disagreement, match="in a batch of 5"):
        prove_agreement(Says(), First(), images, SIZE)

    class Logits(Says):
        def raw(self, batch: np.ndarray) -> np.ndarray:
            """As an export without softmax."""
            return super().raw(batch) + 1

    with pytest.raises(Disagreement, match="no probabilities"):
        prove_agreement(Logits(), Logits(), images, SIZE)


def test_verification_images_are_of_every_class_and_of_those_that_all_precisions_say_the_same_of(
    samples: list[Sample], tmp_path: Path
) -> None:
    assert [sample.rows for sample in by_turns(samples)] == ["0", "1", "2"] * 4
    folder = tmp_path / "verification"
    near, far = [Says(0.03)], [Says(), Says(0.2)]
    count, differing = write_verification(Says(), samples, ["a", "b", "c"], SIZE, folder, {"bf16": near, "int8": far})
    assert (count, differing) == (8, {"int8"})
    told = json.loads((folder / "expected.json").read_text())
    assert (told["task"], told["image_size"], told["class_names"]) == ("classify", SIZE, ["a", "b", "c"])
    assert [image["class"] for image in told["images"]] == [0, 1, 2, 0, 1, 2, 0, 1]
    for image in told["images"]:
        with Image.open(folder / image["file"]) as picture:
            assert picture.size == (SIZE, SIZE)
        assert image["probabilities"][image["class"]] == pytest.approx(0.9)


def test_an_image_that_two_classes_contend_for_is_not_kept(samples: list[Sample], tmp_path: Path) -> None:
    assert write_verification(Says(0.5), samples, ["a", "b", "c"], SIZE, tmp_path / "v", {}) == (0, set())


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_torchvisions_networks_become_architectures_that_train(network: str, tmp_path: Path) -> None:
    import torch
    from ultralytics.nn.tasks import ClassificationModel

    assert FORMS.is_architecture(network)
    file = write_architecture(network, tmp_path, 64)
    assert yaml.safe_load(file.read_text())["backbone"][0][3][2] is None, "no weights are downloaded"
    model = ClassificationModel(str(file), nc=7, verbose=False).train()
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_a_network_for_larger_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Images of 32 pixels are too small for torchvision's alexnet"):
        write_architecture("alexnet", tmp_path, 32)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("yolo11n.yaml", "ends in Detect: it is no classifier"),
        ("resnet", "neither an architecture nor weights. Give a network of torchvision"),
        ("vit_b_16", "neither an architecture nor weights"),
        ("yolo11-cls-resnet18.yaml", "Give --model=resnet18, which begins with random weights"),
    ],
)
def test_what_is_no_classifier_is_refused(model: str, said: str, tmp_path: Path) -> None:
    from trainer.settings import Settings
    from trainer.weights.start import check_model

    asked = Settings("prepare", "digits", tmp_path, "http://127.0.0.1:1", "run", task="classify", model=model)
    with pytest.raises(InputError, match=said):
        check_model(asked)


def test_the_networks_that_are_offered_are_torchvisions() -> None:
    import torchvision

    assert torchvision_networks() <= set(torchvision.models.list_models())
    assert {"resnet18", "efficientnet_b0", "convnext_tiny", "densenet121"} <= torchvision_networks()


def test_weights_with_a_torchvision_network_are_loaded_and_others_still_refused(tmp_path: Path) -> None:
    import torch
    from trainer.weights.check import check_weights
    from ultralytics.nn.tasks import ClassificationModel

    model = ClassificationModel(str(write_architecture("resnet18", tmp_path, 32)), nc=2, verbose=False)
    model.names = {0: "cat", 1: "dog"}
    torch.save({"model": model}, tmp_path / "best.pt")
    assert check_weights(tmp_path / "best.pt", "best.pt", find("classify"), 32) == ["cat", "dog"]
    with pytest.raises(InputError, match="end in Classify: they are not a plain detector's"):
        check_weights(tmp_path / "best.pt", "best.pt", find("detect"), 32)
    torch.save({"model": write_image}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match="cannot be loaded"):
        check_weights(tmp_path / "foreign.pt", "foreign.pt", find("classify"), 32)
