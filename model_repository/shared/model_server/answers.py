"""From requests that Triton hands over together to the rows of each of their images."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from yolo_server.engine import Engine
from yolo_server.postprocess import Floats, detections_of
from yolo_server.request import Job, Opened
from yolo_server.runners import Images, as_floats

# Rows (n, 6) of each image of a request; or why there are none, which concerns this request alone.
Answer = list[Floats] | Exception
# A request, and the number of an image of it.
Entry = tuple[Job, int]


def detect(engine: Engine, jobs: Sequence[Job]) -> list[Answer]:
    """An answer for each request, in their order."""
    entries = [(job, number) for job in jobs for number in range(len(job))]
    found = iter(_stacked(engine, entries) if engine.stacks else engine.each(entries, _rows_of_one))
    return [_whole(list(islice(found, len(job)))) for job in jobs]


def _rows_of_one(entry: Entry, run: Callable[[Images], Floats]) -> Floats | Exception:
    """Rows of one image of a request."""
    job, number = entry
    try:
        images, place = job.open(number)
        (rows,) = detections_of(run(images), np.array([job.confidence], np.float32), np.array([job.iou]))
        return place(rows)
    except Exception as error:
        return error


def _whole(parts: list[Floats | Exception]) -> Answer:
    rows: list[Floats] = []
    for part in parts:
        if isinstance(part, Exception):
            return part
        rows.append(part)
    return rows


def _stacked(engine: Engine, entries: list[Entry]) -> list[Floats | Exception]:
    """For a GPU, and an export that takes a fixed number of images at a time: those of one size together."""
    found: dict[int, Floats | Exception] = {}
    opened: dict[int, Opened] = {}
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, each in enumerate(engine.each(entries, _opened)):
        if isinstance(each, Exception):
            found[index] = each
        else:
            opened[index] = each
            groups.setdefault(each.images.shape[1:], []).append(index)
    for indices in groups.values():
        members = [entries[index][0] for index in indices]
        try:
            rows = detections_of(
                engine.run(np.concatenate([as_floats(opened[index].images) for index in indices])),
                np.array([job.confidence for job in members], np.float32),
                np.array([job.iou for job in members]),
            )
        except Exception as error:
            found |= dict.fromkeys(indices, error)
        else:
            found |= {index: opened[index].place(of_one) for index, of_one in zip(indices, rows, strict=True)}
    return [found[index] for index in range(len(entries))]


def _opened(entry: Entry, _: Callable[[Images], Floats]) -> Opened | Exception:
    job, number = entry
    try:
        return job.open(number)
    except Exception as error:
        return error
