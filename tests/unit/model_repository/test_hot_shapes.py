"""Shapes that come often get a model of their own, which answers the same; rare ones and too many do not."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from model_server.cpu import Threads
from model_server.hot_shapes import HotShapes


def until(done: Callable[[], bool]) -> None:
    """Waits for what a thread beside does."""
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_shape_that_was_asked_for_often_is_compiled_once() -> None:
    compiled: list[str] = []

    def compile_model(shape: str) -> str:
        compiled.append(shape)
        return shape.upper()

    hot_shapes = HotShapes(compile_model, most=2, after=3, found={})
    assert [hot_shapes.find("a") for _ in range(2)] == [None, None]
    assert hot_shapes.find("b") is None
    hot_shapes.find("a")
    until(lambda: hot_shapes.find("a") == "A")
    assert hot_shapes.find("b") is None
    hot_shapes.close()
    assert compiled == ["a"]


def test_only_so_many_shapes_get_a_model() -> None:
    hot_shapes = HotShapes(str.upper, most=2, after=1, found={})
    for shape in "abc":
        hot_shapes.find(shape)
    hot_shapes.close()
    assert [hot_shapes.find(shape) for shape in "abc"] == ["A", "B", None]
    none = HotShapes(str.upper, most=0, after=1, found={})
    assert none.find("a") is None
    none.close()
    assert none.find("a") is None


def test_asking_does_not_wait_and_a_failure_stays_beside() -> None:
    go_on = threading.Event()

    def compile_model(shape: str) -> str:
        assert go_on.wait(30)
        if shape == "bad":
            raise RuntimeError("cannot be compiled")
        return shape

    hot_shapes = HotShapes(compile_model, most=2, after=1, found={})
    assert hot_shapes.find("bad") is None
    assert hot_shapes.find("good") is None
    go_on.set()
    until(lambda: hot_shapes.find("good") == "good")
    assert hot_shapes.find("bad") is None
    hot_shapes.close()


def test_many_threads_begin_each_shape_once() -> None:
    compiled: list[int] = []

    def compile_model(shape: int) -> int:
        compiled.append(shape)
        return shape

    hot_shapes = HotShapes(compile_model, most=4, after=50, found={})

    def ask() -> None:
        for _ in range(500):
            for shape in range(4):
                hot_shapes.find(shape)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hot_shapes.close()
    assert sorted(compiled) == [0, 1, 2, 3]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_model_for_one_shape_answers_as_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch, threads: int, dtype: type[np.generic]
) -> None:
    pytest.importorskip("openvino", reason="only the Triton image has OpenVINO")
    from model_server import runners
    from tiny_onnx import tiny_detector

    monkeypatch.setattr(runners, "OFTEN", 3)
    compiled: list[runners.Way] = []

    class Noting(runners.OpenVinoRunner):
        def _compiled(self, way: runners.Way) -> object:
            compiled.append(way)
            return super()._compiled(way)

    runner = Noting(tiny_detector(), Threads(threads, threads), "fp32", shapes=4)
    random = np.random.default_rng(0)
    often, rare = (
        (random.random((1, 3, side, 64)) * (255 if dtype is np.uint8 else 1)).astype(dtype) for side in (32, 96)
    )
    first, other = np.array(runner.alone(often)), np.array(runner.alone(rare))
    for _ in range(3):
        runner.alone(often)
    runner.close()
    assert [way for way in compiled if way.shape] == [runners.Way(True, dtype is np.uint8, often.shape)]
    for _ in range(2):
        np.testing.assert_allclose(runner.alone(often), first, atol=1e-6)
        np.testing.assert_allclose(runner.alone(rare), other, atol=1e-6)
        np.testing.assert_allclose(runner.beside(often), first, atol=1e-6)


@pytest.mark.parametrize(
    ("threads", "shapes", "expected", "from_the_start"),
    [
        (2, 4, [(32, 64), (64, 64)], [(True, (32, 64)), (False, (32, 64))]),
        (1, 4, [(32, 64), (64, 64), (64, 32)], [(True, (32, 64)), (True, (64, 64))]),
        (2, 1, [(32, 64)], [(True, (32, 64))]),
        (2, 0, [(32, 64)], []),
    ],
)
def test_expected_shapes_have_half_of_the_models_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    shapes: int,
    expected: list[tuple[int, int]],
    from_the_start: list[tuple[bool, tuple[int, int]]],
) -> None:
    pytest.importorskip("openvino", reason="only the Triton image has OpenVINO")
    from model_server import runners
    from tiny_onnx import tiny_detector

    compiled: list[runners.Way] = []

    class Noting(runners.OpenVinoRunner):
        def _compiled(self, way: runners.Way) -> object:
            compiled.append(way)
            return super()._compiled(way)

    runner = Noting(tiny_detector(), Threads(threads, threads), "fp32", shapes, expected)
    ways = [runners.Way(alone, True, (1, 3, *sides)) for alone, sides in from_the_start]
    assert [way for way in compiled if way.shape] == ways
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 64), np.uint8)
    floats = np.array(runner.alone(pixels.astype(np.float32) / np.float32(255)))
    before = len(compiled)
    for _ in range(2):
        np.testing.assert_allclose(runner.alone(pixels), floats, atol=1e-6)
    runner.close()
    assert len(compiled) == before, "nothing is left to compile"


@pytest.mark.parametrize(("most_bytes", "shapes"), [(1000, 4), (10**9, 0)])
def test_large_models_get_none_nor_any_where_the_setting_says_so(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int, shapes: int
) -> None:
    pytest.importorskip("openvino", reason="only the Triton image has OpenVINO")
    from model_server import runners
    from tiny_onnx import tiny_detector

    monkeypatch.setattr(runners, "OFTEN", 1)
    monkeypatch.setattr(runners, "MOST_BYTES_OF_SHAPES", most_bytes)
    content = tiny_detector({"padding": "x" * 1000})
    runner = runners.OpenVinoRunner(content, Threads(1, 1), "fp32", shapes)
    image = np.zeros((1, 3, 32, 32), np.float32)
    for _ in range(3):
        runner.alone(image)
    runner.close()
    assert runner._hot_shapes.find(runners.Way(True, False, image.shape)) is None
