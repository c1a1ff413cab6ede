"""The images that the server is checked with are those on which every precision that it may choose finds the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from trainer.datasets.model import Sample
from trainer.tasks.detect.verification import same_detections, write_verification

from conftest import write_image

SIZE = 32
BOX = [4.0, 4.0, 20.0, 24.0]


class Finds:
    """A detector that finds one box: of class 0 at confidence 0.9, or what is said for the n-th picture."""

    def __init__(self, other: Mapping[int, list[float]] | None = None) -> None:
        self.other = dict(other or {})
        self.seen = 0

    def raw(self, batch: np.ndarray) -> np.ndarray:
        """As an end-to-end model: (1, 300, 6)."""
        rows = np.zeros((len(batch), 300, 6), np.float32)
        rows[:, 0] = self.other.get(self.seen, [*BOX, 0.9, 0])
        self.seen += 1
        return rows


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Four pictures."""
    made = []
    for number in range(4):
        image = tmp_path / f"{number}.png"
        write_image(image, number, (SIZE, SIZE))
        made.append(Sample(image.name, image, None))
    return made


def write(samples: list[Sample], folder: Path, **lower: Finds | tuple[Finds, ...]) -> tuple[int, set[str], list[bytes]]:
    ways = {name: each if isinstance(each, tuple) else (each,) for name, each in lower.items()}
    count, differing = write_verification(Finds(), samples, ["cat", "dog"], SIZE, folder, ways)
    files = [image["file"] for image in json.loads((folder / "expected.json").read_text())["images"]]
    assert len(files) == count
    return count, differing, [(folder / file).read_bytes() for file in files]


def test_an_image_on_which_a_precision_differs_is_not_kept(samples: list[Sample], tmp_path: Path) -> None:
    _, _, all_of_them = write(samples, tmp_path / "all")
    near, far = [*BOX, 0.87, 0], [*BOX, 0.84, 0]
    count, differing, kept = write(samples, tmp_path / "kept", bf16=Finds({0: near}), int8=Finds({1: far}))
    assert (count, differing) == (3, set())
    assert kept == [all_of_them[0], *all_of_them[2:]]


def test_every_way_in_which_a_precision_may_be_compiled_has_to_agree(samples: list[Sample], tmp_path: Path) -> None:
    far = [*BOX, 0.84, 0]
    assert write(samples, tmp_path / "out", int8=(Finds(), Finds({1: far})))[:2] == (3, set())


def test_a_precision_that_differs_on_most_images_is_named_and_costs_none(samples: list[Sample], tmp_path: Path) -> None:
    other_class = [*BOX, 0.9, 1]
    wrong = Finds({number: other_class for number in range(3)})
    assert write(samples, tmp_path / "out", bf16=Finds(), int8=wrong)[:2] == (4, {"int8"})


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ([[*BOX, 0.9, 0]], True),
        ([[4.0, 4.0, 20.0, 25.0, 0.9, 0]], True),
        ([[4.0, 4.0, 20.0, 27.0, 0.9, 0]], False),
        ([[*BOX, 0.9, 0], [*BOX, 0.9, 0]], False),
        ([], False),
    ],
)
def test_what_counts_as_the_same(found: list[list[float]], same: bool) -> None:
    expected = np.array([[*BOX, 0.9, 0]], np.float32)
    assert same_detections(expected, np.array(found, np.float32).reshape(-1, 6)) is same
