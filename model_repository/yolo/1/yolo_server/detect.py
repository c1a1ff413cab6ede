"""From requests that Triton hands over together to the rows of each of their images."""

from collections.abc import Callable
from itertools import accumulate, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_server.engine import Engine
from yolo_server.postprocess import Floats, detections_of
from yolo_server.request import Job
from yolo_server.runners import Images, as_floats

# Rows (n, 6) of each image of a request; or why there are none, which concerns this request alone.
Answer = list[Floats] | Exception


def detect(engine: Engine, jobs: list[Job]) -> list[Answer]:
    """An answer for each request, in their order."""
    if engine.stacks:
        return _stacked(engine, jobs)
    images = [(job, number) for job in jobs for number in range(len(job.images))]
    found = iter(engine.each(images, _rows_of_one))
    return [_whole(list(islice(found, len(job.images)))) for job in jobs]


def _rows_of_one(entry: tuple[Job, int], run: Callable[[Images], Floats]) -> Floats | Exception:
    """Rows of one image of a request."""
    job, number = entry
    try:
        output = run(job.images[number : number + 1])
        (rows,) = detections_of(output, np.array([job.confidence], np.float32), np.array([job.iou]))
    except Exception as error:
        return error
    return rows


def _whole(parts: list[Floats | Exception]) -> Answer:
    rows: list[Floats] = []
    for part in parts:
        if isinstance(part, Exception):
            return part
        rows.append(part)
    return rows


def _stacked(engine: Engine, jobs: list[Job]) -> list[Answer]:
    """For an export that takes a fixed number of images at a time: those of one size together."""
    answers: dict[int, Answer] = {}
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault(job.images.shape[1:], []).append(index)
    for indices in groups.values():
        members = [jobs[index] for index in indices]
        counts = [len(job.images) for job in members]
        try:
            rows = detections_of(
                engine.run(np.concatenate([as_floats(job.images) for job in members])),
                _repeated([job.confidence for job in members], counts).astype(np.float32),
                _repeated([job.iou for job in members], counts),
            )
        except Exception as error:
            answers |= dict.fromkeys(indices, error)
        else:
            for index, count, end in zip(indices, counts, accumulate(counts), strict=True):
                answers[index] = rows[end - count : end]
    return [answers[index] for index in range(len(jobs))]


def _repeated(values: list[float], counts: list[int]) -> NDArray[Any]:
    """Each request's value once for each of its images."""
    return np.repeat(np.array(values, np.float64), counts)
