"""Starting with the first engine that can, on a machine without a GPU: real engines, and a line for each failure."""

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino", reason="only the Triton image has OpenVINO")

from detector.postprocess import detections_of
from detector.task import Detection
from model_server.answers import answers_of
from model_server.choice import Choice
from model_server.cpu import Threads
from model_server.engine import Engine
from model_server.errors import LoadError
from model_server.gpu import Gpu
from model_server.onnx_metadata import Sibling, read_metadata
from model_server.request import TensorJob
from model_server.runners import Images, OnnxRuntimeRunner, import_openvino
from model_server.start import Source, start
from tiny_onnx import tiny_detector

CPU = Choice("onnxruntime", "fp32")


def by_itself() -> bool:
    """There is no other instance."""
    return True


def started(
    choices: list[Choice], tmp_path: Path, notes: dict[str, str] | None = None, int8: bytes | None = None
) -> tuple[Engine, list[str]]:
    """The engine of a tiny detector, and what the log says."""
    content, said = tiny_detector(notes), list[str]()

    def fetch(sibling: Sibling) -> bytes:
        if int8 is None:
            raise LoadError(f"MLflow lacks {sibling.file}")
        return int8

    source = Source(
        content,
        read_metadata(content),
        fetch,
        lambda: Gpu(0, tmp_path / "engines"),
        shapes=4,
        expected=[(32, 32)],
        check=Detection.check_output,
    )
    engine, _ = start(source, choices, Threads(2, 2), by_itself, 8, said.append)
    return engine, said


def rows(output: np.ndarray) -> np.ndarray:
    """What a detector makes of the output for one image."""
    return detections_of(output, np.array([0.25], np.float32), np.array([0.7]))[0]


def note(content: bytes) -> dict[str, str]:
    """As the training notes the INT8 file."""
    told = {"file": "model.int8.zip", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return {"int8": json.dumps(told)}


def zipped(folder: Path, channels: int = 6) -> bytes:
    """A tiny detector as the training writes INT8 files: OpenVINO's own format, zipped."""
    openvino = import_openvino()
    openvino.save_model(openvino.Core().read_model(tiny_detector(channels=channels)), folder / "model.xml")
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        for name in ("model.xml", "model.bin"):
            archive.write(folder / name, name)
    return (folder / "model.zip").read_bytes()


def answer(engine: Engine) -> np.ndarray:
    """What it gives for a picture that is white in one colour."""
    picture = np.zeros((1, 3, 32, 32), np.float32)
    picture[:, 0] = 1
    return np.array(engine.run(picture))


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_that_says_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError) as raised:
        started([Choice(name, "fp32")], tmp_path)
    message = str(raised.value)
    assert message.startswith(f"{name} cannot run the model") and "CPUExecutionProvider" in message
    assert "onnxruntime-gpu" in message and "MODEL_ENGINE to auto" in message and "\n" not in message


def test_a_gpu_that_is_not_there_costs_a_line_of_the_log(tmp_path: Path) -> None:
    engine, said = started([Choice("tensorrt", "fp32"), Choice("cuda", "fp32"), CPU], tmp_path)
    assert engine.choice == CPU and not engine.stacks
    assert answer(engine).ravel() == pytest.approx([1 / 3] * 6, abs=1e-6)
    assert [line.split(":")[0] for line in said] == [
        "not served with tensorrt in fp32, next is cuda in fp32",
        "not served with cuda in fp32, next is onnxruntime in fp32",
    ]
    engine.close()


def test_the_int8_file_that_the_onnx_names_is_served(tmp_path: Path) -> None:
    sibling = zipped(tmp_path)
    engine, said = started([Choice("openvino", "int8"), CPU], tmp_path, note(sibling), sibling)
    assert (engine.choice.engine, engine.choice.precision) == ("openvino", "int8")
    assert not said
    assert answer(engine).ravel() == pytest.approx([1 / 3] * 6, abs=1e-3)
    engine.close()


@pytest.mark.parametrize(
    ("notes", "int8", "reason"),
    [
        ({}, None, "names no INT8 file"),
        ({"int8": "nonsense"}, None, "names no INT8 file"),
        ({"int8": '{"file": "x", "sha256": "12", "bytes": 3}'}, None, "names no INT8 file"),
        ({"int8": note(b"x")["int8"].replace("model", "../model")}, None, "names no INT8 file"),
        (note(b"x"), None, "MLflow lacks model.int8.zip"),
        (note(b"x"), b"no model", "the INT8 file is not OpenVINO's"),
        (note(b"x"), 3, "the model's output has shape [1, 3, 1]"),
    ],
)
def test_without_a_sound_int8_file_the_next_precision_is_served(
    tmp_path: Path, notes: dict[str, str], int8: bytes | int | None, reason: str
) -> None:
    content = zipped(tmp_path, int8) if isinstance(int8, int) else int8
    engine, said = started([Choice("openvino", "int8"), Choice("openvino", "bf16"), CPU], tmp_path, notes, content)
    assert str(engine.choice) == "openvino in bf16"
    (line,) = said
    assert line.startswith("not served with openvino in int8, next is openvino in bf16: ") and reason in line
    engine.close()


class Counting(OnnxRuntimeRunner):
    """A runner that tells how many images came at a time."""

    def __init__(self) -> None:
        super().__init__(tiny_detector(), Threads(1, 1))
        self.batches: list[int] = []

    def alone(self, images: Images) -> np.ndarray:
        """See Runner."""
        self.batches.append(len(images))
        return super().alone(images)


@pytest.mark.parametrize(("name", "batches"), [("cuda", [4]), ("tensorrt", [4]), ("onnxruntime", [1, 1, 1, 1])])
def test_requests_of_one_execution_are_one_batch_on_a_gpu_and_not_on_a_processor(name: str, batches: list[int]) -> None:
    runner = Counting()
    engine = Engine(read_metadata(tiny_detector()), Choice(name, "fp32"), runner, Threads(1, 1), by_itself)
    white = np.ones((1, 3, 32, 32), np.float32)
    jobs = [
        TensorJob(white, rows),
        TensorJob(np.concatenate([white, white / 2]), rows),
        TensorJob(white, rows),
    ]
    answers = answers_of(engine, jobs)
    assert runner.batches == batches
    for job, found in zip(jobs, answers, strict=True):
        assert not isinstance(found, Exception)
        assert [len(each) for each in found] == [1] * len(job.images)
        assert [each[0, 4] for each in found] == pytest.approx([image.max() for image in job.images], abs=1e-5)
    engine.close()


class Noting(OnnxRuntimeRunner):
    """A runner that tells how each image came; black ones cannot be run."""

    def __init__(self, threads: int) -> None:
        super().__init__(tiny_detector(), Threads(threads, threads))
        self.ways: list[str] = []

    def alone(self, images: Images) -> np.ndarray:
        """See Runner."""
        return self._noted("alone", images)

    def beside(self, images: Images) -> np.ndarray:
        """See Runner."""
        return self._noted("beside", images)

    def _noted(self, way: str, images: Images) -> np.ndarray:
        self.ways.append(way)
        if images.max() == 0:
            raise RuntimeError("black")
        return super().beside(images)


def test_beside_another_instance_an_image_gets_one_thread() -> None:
    runner = Noting(2)
    free = iter([True, False, True])
    engine = Engine(
        read_metadata(tiny_detector()), Choice("onnxruntime", "fp32"), runner, Threads(2, 1), lambda: next(free)
    )
    (found,) = answers_of(engine, [TensorJob(np.full((3, 3, 32, 32), 0.5, np.float32), rows)])
    engine.close()
    assert runner.ways == ["alone", "beside", "alone"]
    assert isinstance(found, list) and len(found) == 3


@pytest.mark.parametrize(
    ("threads", "images", "beside", "alone"),
    [(2, 1, 0, 1), (2, 2, 2, 0), (2, 5, 4, 1), (1, 3, 0, 3), (4, 2, 0, 2), (4, 3, 3, 0), (4, 9, 8, 1)],
)
def test_images_that_would_leave_threads_idle_get_all_of_them(
    threads: int, images: int, beside: int, alone: int
) -> None:
    runner = Noting(threads)
    engine = Engine(
        read_metadata(tiny_detector()), Choice("onnxruntime", "fp32"), runner, Threads(threads, threads), by_itself
    )
    (found,) = answers_of(engine, [TensorJob(np.full((images, 3, 32, 32), 0.5, np.float32), rows)])
    engine.close()
    assert runner.ways == ["beside"] * beside + ["alone"] * alone
    assert isinstance(found, list) and len(found) == images


def test_an_image_that_cannot_be_run_fails_its_request_alone() -> None:
    engine = Engine(read_metadata(tiny_detector()), Choice("onnxruntime", "fp32"), Noting(2), Threads(2, 2), by_itself)
    grey, black = (np.full((1, 3, 32, 32), value, np.float32) for value in (0.5, 0))
    jobs = [TensorJob(images, rows) for images in (grey, np.concatenate([grey, black]), grey)]
    first, wrong, last = answers_of(engine, jobs)
    engine.close()
    assert str(wrong) == "black"
    assert [len(found) for found in (first, last) if isinstance(found, list)] == [1, 1]
