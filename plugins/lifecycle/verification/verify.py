"""Asks the server itself whether the new version answers, and whether its boxes are right.

The evaluation step keeps a few pictures with what the trained PyTorch model finds in them (`verification/` of the
MLflow run). A rollout counts only when the served model says that it is the expected version and finds the same.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from yolo_client import Detector, Protocol, ServedModel, draw_detections
from yolo_client.draw import contact_sheet
from yolo_client.letterbox import Floats, Pixels

from lifecycle.model.pin import Pin
from lifecycle.verification.errors import DetectionsDiffer, SamplesUnusable, WrongVersionServed, typed_errors

# The sha256 proves which file is served, the boxes that the server computes it rightly. So the limits leave room for
# another engine and bfloat16 (0.054 in IoU and 0.032 in confidence at most, on 84 images of the demo).
LEAST_IOU = 0.85
CONFIDENCE_TOLERANCE = 0.1


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


@dataclass(frozen=True)
class VerificationReport:
    """A passed verification.

    Attributes:
        served: what answered, by its own account.
        details: one entry a picture.
        seconds: how long the server took for all answers.
    """

    served: ServedModel
    details: tuple[ImageReport, ...]
    seconds: float

    @property
    def images(self) -> int:
        """How many pictures were sent."""
        return len(self.details)

    @property
    def matched(self) -> int:
        """How many pictures came back with the expected boxes: all of them, or there would be an error instead."""
        return len(self.details)

    @property
    def boxes(self) -> int:
        """Pairs of an expected and a served box, over all pictures."""
        return sum(detail.boxes for detail in self.details)

    @property
    def picture(self) -> Image.Image:
        """The pictures with the served boxes drawn, side by side."""
        return contact_sheet(
            [
                draw_detections(Image.fromarray(detail.sample.pixels), detail.detections, self.served.class_names)
                for detail in self.details
            ]
        )


def verify_served(
    url: str,
    model: str,
    expected: Pin,
    samples_dir: Path,
    *,
    protocol: Protocol = "http",
    timeout: float = 30.0,
) -> VerificationReport:
    """Sends the verification pictures and compares every answer.

    Args:
        url: Triton's address for the protocol.
        model: Triton's name of the model.
        expected: the version that must answer, with its checksum and its code.
        samples_dir: folder with `expected.json` and its pictures.
        protocol: `http` or `grpc`.
        timeout: seconds for one call.

    Raises:
        WrongVersionServed: another version, other bytes or other code answer, to any of the requests.
        DetectionsDiffer: a picture's boxes are not the expected ones; the message names it and them.
        ServingUnavailable, ServingError: nothing answers, or the server refuses the request.
        SamplesUnusable: the folder is not what the evaluation writes.
    """
    wanted = read_samples(samples_dir)
    with typed_errors(), Detector(url, model, protocol, timeout) as detector:
        served = detector.served()
        check_identity(served, expected, url)
        reports, started = [], time.perf_counter()
        for sample in wanted.samples:
            tensor = sample.pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
            answer = detector.infer_and_tell(tensor, wanted.confidence, wanted.iou)
            # Each answer says who gave it: behind a Service, another pod may answer the next request.
            check_identity(answer.served, expected, url)
            reports.append(compare(sample, answer.rows[0], wanted.confidence))
        seconds = time.perf_counter() - started
    return VerificationReport(served, tuple(reports), seconds)


def check_identity(served: ServedModel, pin: Pin, url: str) -> None:
    """Raises WrongVersionServed unless this version, with this checksum and this code, is what answers.

    A server whose code is not from Git (from its image, a bucket, a claim) tells no commit, and none is asked of it.
    """
    if served.version != pin.number:
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {served.version}, but version {pin.number} is expected: the rollout "
            "has not reached this address, or the values file was changed since"
        )
    if served.sha256 != pin.sha256:
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {pin.number} with sha256 {served.sha256}, but {pin.sha256} is "
            "expected: the file in MLflow or the values file was changed; register the model again and promote that "
            "version"
        )
    if pin.code_commit and served.code_commit not in ("", pin.code_commit):
        raise WrongVersionServed(
            f"{url} serves {served.name!r} version {pin.number} with the code of {served.code_commit[:12]}, but that "
            f"of {pin.code_commit[:12]} is expected: the rollout has not reached this address, or the values file was "
            "changed since"
        )


def read_samples(folder: Path) -> SampleSet:
    """Reads `verification/`.

    Raises:
        SamplesUnusable: a file is missing or is not what the evaluation writes.
    """
    index = folder / "expected.json"
    try:
        told: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
        samples = tuple(_sample(folder, entry) for entry in told["images"])
        thresholds = float(told["confidence"]), float(told["iou"])
    except (OSError, ValueError, KeyError, TypeError, UnidentifiedImageError) as error:
        raise SamplesUnusable(
            f"the verification pictures in {folder} cannot be read ({type(error).__name__}: {error}): run the "
            "evaluation step again, which writes them to the MLflow run's artifacts under verification/"
        ) from error
    if not samples:
        raise SamplesUnusable(f"{index} names no pictures, so nothing can be verified: run the evaluation step again")
    return SampleSet(*thresholds, samples)


def _sample(folder: Path, entry: dict[str, Any]) -> Sample:
    with Image.open(folder / entry["file"]) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows = np.asarray(entry["detections"], np.float32).reshape(-1, 6)
    return Sample(str(entry["file"]), pixels, rows)


def compare(sample: Sample, found: Floats, confidence: float) -> ImageReport:
    """Pairs expected and found boxes one to one: same class, IoU >= LEAST_IOU, confidence within CONFIDENCE_TOLERANCE.

    A box whose confidence is within that tolerance of the threshold may be on one side only: rounding decides there.

    Raises:
        DetectionsDiffer: a box on either side has no partner; the message names it.
    """
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
            raise DetectionsDiffer(
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
