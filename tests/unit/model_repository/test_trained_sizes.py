"""What a training made is served: an image size above the server's own limit, its pictures' shapes, many classes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from model_server.errors import RequestError
from model_server.onnx_metadata import OnnxMetadata, read_metadata
from model_server.record import _names
from model_server.request import Limits, check_images
from model_server.settings import Settings
from tiny_onnx import tiny_detector

METADATA = OnnxMetadata(fixed=(None, None, None), stride=32, class_names=[], image_size=2560, int8=None, shapes=[])


def _sides(limits: Limits, side: int) -> np.ndarray:
    return np.asarray(check_images("pixels", np.zeros((1, 3, 32, side), np.uint8), limits))


def test_a_model_of_a_large_image_size_takes_it() -> None:
    limits = Limits.of(METADATA, 2560, Settings.max_side)
    assert _sides(limits, 2560).shape == (1, 3, 32, 2560)
    with pytest.raises(RequestError, match="longest side may be 2560"):
        _sides(limits, 2592)


def test_an_image_size_between_two_multiples_of_the_stride_takes_its_own_letterbox() -> None:
    assert Limits.of(METADATA, 48, 32).max_side == 64


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("[[480, 640], [640, 480]]", [(480, 640), (640, 480)]),
        ("", [(640, 640)]),
        ("[]", [(640, 640)]),
        ("[[481, 640]]", [(640, 640)]),
        ("[[64, 1000000000]]", [(640, 640)]),
        ("[480, 640]", [(640, 640)]),
        ("{'a': 1}", [(640, 640)]),
    ],
)
def test_the_shapes_that_the_training_noted_are_expected(note: str, expected: list[tuple[int, int]]) -> None:
    pytest.importorskip("onnxruntime", reason="only the Triton image reads ONNX files")
    assert read_metadata(tiny_detector({"shapes": note})).expected(640) == expected


def test_of_an_export_for_one_size_that_size_is_expected() -> None:
    assert replace(METADATA, fixed=(1, 320, None), shapes=[(480, 640)]).expected(640) == [(320, 640)]


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
