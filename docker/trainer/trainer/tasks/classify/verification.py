"""The images that the DAG sends to the server after a rollout, and the probabilities that it has to answer with."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainer.datasets.model import Sample
from trainer.networks import Network, to_batch
from trainer.tasks.classify.measure import class_of
from trainer.tasks.classify.pictures import read_fitted

IMAGES = 8
SEARCHED = 200  # images looked at, at most

# What the DAG lets a probability differ by (plugins/lifecycle/kinds/classify/answers.py) is twice as much.
TOLERANCE = 0.05
# By which the best class is ahead of the second: more than both may move towards each other there.
MARGIN = 0.25


@dataclass(frozen=True)
class _Clear:
    """An image of which the class is clear, and the lower precisions that say the same."""

    picture: np.ndarray
    scores: np.ndarray
    agreeing: frozenset[str]


def write_verification(
    network: Network,
    samples: list[Sample],
    names: list[str],
    image_size: int,
    folder: Path,
    lower: Mapping[str, Sequence[Network]],
) -> tuple[int, set[str]]:
    """Write ``0.png`` … and ``expected.json``; see ``Task.write_verification``.

    Only images whose best class is far ahead of the second, as the PyTorch model has it: another engine rounds
    otherwise. They are of as many classes as possible.
    """
    clear: list[_Clear] = []
    for sample in list(by_turns(samples))[:SEARCHED]:
        picture = read_fitted(sample.image, image_size)
        scores = network.raw(to_batch([picture]))[0]
        if is_clear(scores):
            agreeing = (name for name, ways in lower.items() if all(_agrees(way, picture, scores) for way in ways))
            clear.append(_Clear(picture, scores, frozenset(agreeing)))
        if sum(each.agreeing == set(lower) for each in clear) == IMAGES:
            break
    wanted = {name for name in lower if 2 * sum(name in each.agreeing for each in clear) >= len(clear)}
    # Together they have to leave images, too.
    while wanted and 2 * sum(wanted <= each.agreeing for each in clear) < len(clear):
        wanted.remove(min(sorted(wanted), key=lambda name: sum(name in each.agreeing for each in clear)))
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    for number, each in enumerate([each for each in clear if wanted <= each.agreeing][:IMAGES]):
        Image.fromarray(each.picture).save(folder / f"{number}.png")
        probabilities = [round(float(value), 5) for value in each.scores]
        images.append({"file": f"{number}.png", "class": int(each.scores.argmax()), "probabilities": probabilities})
    expected = {"task": "classify", "image_size": image_size, "class_names": names, "images": images}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(images), set(lower) - wanted


def by_turns(samples: list[Sample]) -> Iterator[Sample]:
    """One of each class, then another one of each, and so on."""
    classes: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        classes[class_of(sample)].append(sample)
    for turn in zip_longest(*(classes[number] for number in sorted(classes))):
        yield from (sample for sample in turn if sample is not None)


def is_clear(scores: np.ndarray) -> bool:
    """Whether the best class of one image is far ahead of the second."""
    second, best = np.sort(scores)[-2:]
    return bool(best - second >= MARGIN)


def _agrees(network: Network, picture: np.ndarray, scores: np.ndarray) -> bool:
    found = network.raw(to_batch([picture]))[0]
    return bool(found.argmax() == scores.argmax() and np.abs(found - scores).max() <= TOLERANCE)
