"""From requests that Triton hands over together to the rows of each of their images."""

import threading
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo_server.engine import Engine
from yolo_server.postprocess import Floats, detections_of
from yolo_server.request import Job
from yolo_server.runners import Images, as_floats

# Rows (n, 6) of each image of a request; or why there are none, which concerns this request alone.
Answer = list[Floats] | Exception


class _Open:
    """A request some of whose images are still being worked on, by several threads."""

    def __init__(self, images: int) -> None:
        self._rows: list[Floats] = [np.empty((0, 6), np.float32)] * images
        self._error: Exception | None = None
        self._left = images
        self._lock = threading.Lock()

    def put(self, number: int, found: Floats | Exception) -> Answer | None:
        """Notes what was found in an image; the answer of the request if that was the last one."""
        with self._lock:
            if isinstance(found, Exception):
                self._error = self._error or found
            else:
                self._rows[number] = found
            self._left -= 1
            if self._left:
                return None
        return self._error or self._rows


def detect(engine: Engine, jobs: list[Job], answered: Callable[[int, Answer], None]) -> None:
    """Calls `answered` with the index of each request and its answer, as soon as it is there, from any thread.

    `answered` must not raise. The last ones may be answered after this has returned: see `Engine.each`.
    """
    if engine.stacks:
        for index, answer in enumerate(_stacked(engine, jobs)):
            answered(index, answer)
        return
    waiting = [_Open(len(job.images)) for job in jobs]

    def work(entry: tuple[int, int], run: Callable[[Images], Floats]) -> None:
        index, number = entry
        answer = waiting[index].put(number, _rows_of_one(jobs[index], number, run))
        if answer is not None:
            answered(index, answer)

    engine.each([(index, number) for index, job in enumerate(jobs) for number in range(len(job.images))], work)


def _rows_of_one(job: Job, number: int, run: Callable[[Images], Floats]) -> Floats | Exception:
    """Rows of one image of a request."""
    try:
        output = run(job.images[number : number + 1])
        (rows,) = detections_of(output, np.array([job.confidence], np.float32), np.array([job.iou]))
    except Exception as error:
        return error
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
