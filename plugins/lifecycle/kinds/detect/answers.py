"""How a detector's answers are proved: its boxes are those that the PyTorch model finds in the same pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from yolo_client import Detector, ServedModel, draw_detections
from yolo_client.letterbox import Floats, Pixels

from lifecycle.errors import AnswersDiffer
from lifecycle.kinds.samples import read_index, read_pixels

# The sha256 proves which file is served, the boxes that the server computes it rightly. So the limits leave room for
# another engine and bfloat16 (0.054 in IoU and 0.032 in confidence at most, on 84 images of the demo).
LEAST_IOU = 0.85
CONFIDENCE_TOLERANCE = 0.1
THINGS = "boxes"


@dataclass(frozen=True)
class Sample:
    """One verification picture: its file name, RGB pixels, and the rows (n, 6) that are expected."""

    file: str
    pixels: Pixels
    expected: Floats


@dataclass(frozen=True)
class SampleSet:
    """Everything in `verification/`, with the thresholds that the expected rows were found with."""

    confidence: float
    iou: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class ImageReport:
    """What was found in one picture: `detections` (n, 6), in its pixels; `boxes` of them pair with expected ones."""

    sample: Sample
    detections: Floats
    boxes: int
    least_iou: float
    most_confidence_difference: float

    @property
    def matches(self) -> int:
        """Pairs of an expected and a served box."""
        return self.boxes

    def picture(self, served: ServedModel) -> Image.Image:
        """The picture with the served boxes drawn."""
        return draw_detections(Image.fromarray(self.sample.pixels), self.detections, served.class_names)


class Server:
    """A served detector, asked with the client that teams have."""

    def __init__(self, url: str, model: str, protocol: str, timeout: float) -> None:
        self._detector = Detector(url, model, "grpc" if protocol == "grpc" else "http", timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._detector.close()

    def served(self) -> ServedModel:
        """Which version is loaded."""
        return self._detector.served()

    def ask(self, sample: Sample, samples: SampleSet) -> tuple[Floats, ServedModel]:
        """The rows of a picture, and who found them."""
        answer = self._detector.infer_and_tell(_tensor(sample), samples.confidence, samples.iou)
        return answer.rows[0], answer.served

    def time(self, sample: Sample) -> None:
        """Ask with the server's own thresholds."""
        self._detector.infer(_tensor(sample))


def connect(url: str, model: str, protocol: str, timeout: float) -> Server:
    """A server of a detector."""
    return Server(url, model, protocol, timeout)


def _tensor(sample: Sample) -> Floats:
    tensor: Floats = sample.pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    return tensor


def read_samples(folder: Path) -> SampleSet:
    """Read `verification/`.

    Raises:
        SamplesUnusable: a file is missing or is not what the evaluation writes.
    """

    def read(told: dict[str, Any]) -> SampleSet:
        samples = tuple(_sample(folder, entry) for entry in told["images"])
        return SampleSet(float(told["confidence"]), float(told["iou"]), samples)

    return read_index(folder, read)


def _sample(folder: Path, entry: dict[str, Any]) -> Sample:
    rows = np.asarray(entry["detections"], np.float32).reshape(-1, 6)
    return Sample(str(entry["file"]), read_pixels(folder / entry["file"]), rows)


def compare(sample: Sample, found: Floats, samples: SampleSet) -> ImageReport:
    """Pairs expected and found boxes one to one: same class, IoU >= LEAST_IOU, confidence within CONFIDENCE_TOLERANCE.

    A box whose confidence is within that tolerance of the threshold may be on one side only: rounding decides there.

    Raises:
        AnswersDiffer: a box on either side has no partner; the message names it.
    """
    confidence = samples.confidence
    height, width = sample.pixels.shape[:2]
    expected, clipped = (_clip(rows, width, height) for rows in (sample.expected, found))
    pairs = list(_pairs(expected, clipped))
    sure = confidence + CONFIDENCE_TOLERANCE
    for rows, used, whose in (
        (sample.expected, {expected for expected, _, _ in pairs}, "the trained model finds"),
        (found, {other for _, other, _ in pairs}, "the served model finds"),
    ):
        alone = [row for index, row in enumerate(rows) if index not in used and row[4] > sure]
        if alone:
            raise AnswersDiffer(
                f"{sample.file}: {whose} {_describe(alone[0])}, and the other one finds no box of that class with "
                f"IoU >= {LEAST_IOU} and a confidence within {CONFIDENCE_TOLERANCE} ({len(alone)} such boxes, "
                f"{len(pairs)} matched): do not use this version; compare onnx_agreement in its MLflow run"
            )
    return ImageReport(
        sample=sample,
        detections=found,
        boxes=len(pairs),
        least_iou=min((overlap for _, _, overlap in pairs), default=1.0),
        most_confidence_difference=max(
            (abs(float(sample.expected[a, 4] - found[b, 4])) for a, b, _ in pairs), default=0.0
        ),
    )


def _pairs(expected: Floats, found: Floats) -> Iterator[tuple[int, int, float]]:
    """One-to-one pairs (expected index, found index, IoU) that agree, best overlap first."""
    overlaps = iou_matrix(expected[:, :4], found[:, :4])
    agree = (expected[:, None, 5] == found[None, :, 5]) & (
        np.abs(expected[:, None, 4] - found[None, :, 4]) <= CONFIDENCE_TOLERANCE
    )
    overlaps = np.where(agree, overlaps, 0)
    while overlaps.size:
        first, second = (int(index) for index in np.unravel_index(overlaps.argmax(), overlaps.shape))
        best = float(overlaps[first, second])
        if best < LEAST_IOU:
            return
        yield first, second, best
        overlaps[first, :] = 0
        overlaps[:, second] = 0


def iou_matrix(first: Floats, second: Floats) -> Floats:
    """Intersection over union of every box (n, 4) with every other (m, 4); 0 where both are empty."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    overlaps: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def _clip(rows: Floats, width: int, height: int) -> Floats:
    """Boxes cut to the picture: Ultralytics' predictions are, the server's are not."""
    return np.concatenate([np.clip(rows[:, :4], 0, np.array([width, height] * 2, np.float32)), rows[:, 4:]], axis=1)


def _describe(row: Floats) -> str:
    x1, y1, x2, y2, confidence, index = (float(value) for value in row)
    return f"class {index:.0f} at [{x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}] with confidence {confidence:.2f}"
