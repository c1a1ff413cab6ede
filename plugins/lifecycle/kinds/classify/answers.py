"""How a classifier's answers are proved: its probabilities are those of the PyTorch model, for the same pictures."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image, ImageDraw
from yolo_client import Protocol, ServedModel
from yolo_client.letterbox import Floats, Pixels
from yolo_client.served import check_against_config, parse_model_info
from yolo_client.transport import Call, Transport

from lifecycle.errors import AnswersDiffer
from lifecycle.kinds.samples import read_index, read_pixels

# The sha256 proves which file is served, the probabilities that the server computes it rightly: room for another
# engine and bfloat16, twice what the trainer allows (its tasks/classify/verification.py).
TOLERANCE = 0.1
THINGS = "classes"
BAR = 16  # pixels, for the name of the class
LEAST_SIDE = 120  # of a picture that a person looks at, pixels


@dataclass(frozen=True)
class Sample:
    """One verification picture: its file name, RGB pixels, and the probability (classes,) of each class."""

    file: str
    pixels: Pixels
    expected: Floats


@dataclass(frozen=True)
class SampleSet:
    """Everything in `verification/`."""

    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class ImageReport:
    """What was said of one picture: the probabilities, and by how much they differ from the expected ones at most."""

    sample: Sample
    scores: Floats
    most_difference: float

    @property
    def matches(self) -> int:
        """One class a picture."""
        return 1

    def picture(self, served: ServedModel) -> Image.Image:
        """The picture with the class that it was taken for."""
        picture = Image.fromarray(self.sample.pixels)
        scale = max(1, -(-LEAST_SIDE // min(picture.size)))
        picture = picture.resize((picture.width * scale, picture.height * scale))
        sheet = Image.new("RGB", (picture.width, picture.height + BAR), "#202020")
        sheet.paste(picture, (0, 0))
        best = int(self.scores.argmax())
        text = f"{served.class_name(best)} {self.scores[best]:.2f}"
        ImageDraw.Draw(sheet).text((3, picture.height + 2), text, fill="white")
        return sheet


class Server:
    """A served classifier."""

    def __init__(self, url: str, model: str, protocol: str, timeout: float) -> None:
        self._protocol: Protocol = "grpc" if protocol == "grpc" else "http"
        self._transport = Transport(url, self._protocol, timeout)
        self._model = model

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if client := self._transport.release():
            client.close()

    def served(self) -> ServedModel:
        """Which version is loaded: told with the answer to a picture of any size."""
        encoded = np.array([[_any_picture()]], dtype=np.object_)
        answer = self._call(Call("infer", self._model, {"encoded": encoded}, ("model_info",)))
        config = self._call(Call("get_model_config", self._model))
        told = parse_model_info(answer.as_numpy("model_info"))
        return check_against_config(told, config["config"] if self._protocol == "grpc" else config)

    def ask(self, sample: Sample, samples: SampleSet) -> tuple[Floats, ServedModel]:
        """The probabilities of a picture, and who gave them."""
        answer = self._infer(sample, ("scores", "model_info"))
        return answer.as_numpy("scores").reshape(-1), parse_model_info(answer.as_numpy("model_info"))

    def time(self, sample: Sample) -> None:
        """Ask for the probabilities alone."""
        self._infer(sample, ("scores",))

    def _infer(self, sample: Sample, outputs: tuple[str, ...]) -> Any:
        pixels = np.ascontiguousarray(sample.pixels.transpose(2, 0, 1)[None])
        return self._call(Call("infer", self._model, {"pixels": pixels}, outputs))

    def _call(self, call: Call) -> Any:
        """One call, made again on a new connection where its own ended without an answer."""
        for last in (False, True):
            try:
                return self._transport.start(call)
            except Exception as error:
                if not last and self._transport.lost(error):
                    continue
                if known := self._transport.explain(error, call.model):
                    raise known from error
                raise
        raise AssertionError("a call returns or raises")


def connect(url: str, model: str, protocol: str, timeout: float) -> Server:
    """A server of a classifier."""
    return Server(url, model, protocol, timeout)


def read_samples(folder: Path) -> SampleSet:
    """Read `verification/`.

    Raises:
        SamplesUnusable: a file is missing or is not what the evaluation writes.
    """

    def read(told: dict[str, Any]) -> SampleSet:
        names = tuple(str(name) for name in told["class_names"])
        return SampleSet(names, tuple(_sample(folder, entry, len(names)) for entry in told["images"]))

    return read_index(folder, read)


def compare(sample: Sample, found: Floats, samples: SampleSet) -> ImageReport:
    """The same best class, and every probability within TOLERANCE.

    Raises:
        AnswersDiffer: it is not so; the message names the classes.
    """
    if found.shape != sample.expected.shape:
        raise AnswersDiffer(
            f"{sample.file}: the served model knows {found.size} classes, and the trained one {sample.expected.size}: "
            "do not use this version"
        )
    difference = float(np.abs(found - sample.expected).max())
    wanted, best = int(sample.expected.argmax()), int(found.argmax())
    # Written so that NaN fails.
    if wanted != best or not difference <= TOLERANCE:
        raise AnswersDiffer(
            f"{sample.file}: the trained model says {_said(sample.expected, wanted, samples)}, and the served model "
            f"{_said(found, best, samples)} (probabilities differ by up to {difference:.2f}, and {TOLERANCE} is "
            "allowed): do not use this version; compare onnx_agreement in its MLflow run"
        )
    return ImageReport(sample, found, difference)


def _said(scores: Floats, number: int, samples: SampleSet) -> str:
    return f"{samples.class_names[number]!r} with {float(scores[number]):.2f}"


def _sample(folder: Path, entry: dict[str, Any], classes: int) -> Sample:
    pixels = read_pixels(folder / entry["file"])
    expected = np.asarray(entry["probabilities"], np.float32)
    if expected.shape != (classes,):
        raise ValueError(f"{entry['file']} has {expected.size} probabilities for {classes} classes")
    return Sample(str(entry["file"]), pixels, expected)


def _any_picture() -> bytes:
    with io.BytesIO() as content:
        Image.new("RGB", (32, 32), "grey").save(content, "PNG")
        return content.getvalue()
