"""The shapes that a version will be asked for, noted in its ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from PIL import Image
from trainer.datasets.model import Sample
from trainer.tasks.detect.served_shapes import NOTE, add_shapes, most_frequent


def test_the_most_frequent_shapes_of_the_pictures_are_noted(network: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies; upright it is as high as it is wide
    pictures = [((64, 48), None), ((48, 64), exif), ((640, 480), None), ((48, 64), None), ((50, 50), None)]
    samples = []
    for number, (size, turned) in enumerate(pictures):
        path = tmp_path / f"{number}.jpg"
        Image.new("RGB", size).save(path, exif=turned or Image.Exif())
        samples.append(Sample(path.name, path, None))
    weights = len(onnx.load(str(network)).graph.initializer)
    assert add_shapes(network, samples, 640)[0] == (480, 640)
    model = onnx.load(str(network))
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(notes[NOTE])[0] == [480, 640] and len(json.loads(notes[NOTE])) == 3
    assert len(model.graph.initializer) == weights


def test_only_a_few_are_noted_and_a_thin_picture_is_one_stride_high() -> None:
    assert most_frequent([(100, 1)] * 2 + [(100, 90)], 160) == [(32, 160), (160, 160)]
    assert len(most_frequent([(100, side) for side in range(1, 101)], 160)) == 4
