"""From requests that Triton hands over together to the answer for each of their images."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from model_server.engine import Engine
from model_server.request import Floats, Job, Opened
from model_server.runners import Images, as_floats

# What the job made of each image of a request; or why there is nothing, which concerns this request alone.
Answer = list[Floats] | Exception
# A request, and the number of an image of it.
Entry = tuple[Job, int]


def answers_of(engine: Engine, jobs: Sequence[Job]) -> list[Answer]:
    """An answer for each request, in their order."""
    entries = [(job, number) for job in jobs for number in range(len(job))]
    found = iter(_stacked(engine, entries) if engine.stacks else engine.each(entries, _of_one))
    return [_whole(list(islice(found, len(job)))) for job in jobs]


def _of_one(entry: Entry, run: Callable[[Images], Floats]) -> Floats | Exception:
    """The answer for one image of a request."""
    job, number = entry
    try:
        images, finish = job.open(number)
        return finish(run(images))
    except Exception as error:
        return error


def _whole(parts: list[Floats | Exception]) -> Answer:
    found: list[Floats] = []
    for part in parts:
        if isinstance(part, Exception):
            return part
        found.append(part)
    return found


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
        try:
            output = engine.run(np.concatenate([as_floats(opened[index].images) for index in indices]))
            found |= {index: opened[index].finish(output[at : at + 1]) for at, index in enumerate(indices)}
        except Exception as error:
            found |= dict.fromkeys(indices, error)
    return [found[index] for index in range(len(entries))]


def _opened(entry: Entry, _: Callable[[Images], Floats]) -> Opened | Exception:
    job, number = entry
    try:
        return job.open(number)
    except Exception as error:
        return error
