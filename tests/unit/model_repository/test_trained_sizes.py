"""What a training made is served: an image size above the server's own limit, and a thousand classes."""

import json

import numpy as np
import pytest
from yolo_server.errors import RequestError
from yolo_server.onnx_metadata import OnnxMetadata
from yolo_server.registry import _names
from yolo_server.request import Limits, check_images
from yolo_server.settings import Settings

METADATA = OnnxMetadata(fixed=(None, None, None), stride=32, class_names=[], image_size=2560, int8=None)


def _sides(limits: Limits, side: int) -> np.ndarray:
    return np.asarray(check_images(None, np.zeros((1, 3, 32, side), np.uint8), limits))


def test_a_model_of_a_large_image_size_takes_it() -> None:
    limits = Limits.of(METADATA, 2560, Settings.max_side)
    assert _sides(limits, 2560).shape == (1, 3, 32, 2560)
    with pytest.raises(RequestError, match="longest side may be 2560"):
        _sides(limits, 2592)


def test_a_small_model_keeps_the_servers_limit() -> None:
    limits = Limits.of(METADATA, 160, Settings.max_side)
    assert _sides(limits, 2048).shape == (1, 3, 32, 2048)
    with pytest.raises(RequestError, match="longest side may be 2048"):
        _sides(limits, 2080)


@pytest.mark.parametrize(
    ("tag", "names"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("{0: 'a', 1: 'b'}", ["a", "b"]),
        (json.dumps({str(number): str(number) for number in range(11)}), [str(number) for number in range(11)]),
        ('{"count": 1203, "artifact": "dataset/class_names.json"}', []),
        ("", []),
    ],
)
def test_a_tag_that_only_counts_classes_names_none(tag: str, names: list[str]) -> None:
    """Then those of the ONNX file's own notes are served."""
    assert _names(tag) == names
