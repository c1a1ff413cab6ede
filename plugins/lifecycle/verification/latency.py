"""How long two servers take for the same pictures, asked by turns so that a busy machine slows both alike."""

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from yolo_client import Detector
from yolo_client.letterbox import Floats

from lifecycle.policy.candidate import Latency
from lifecycle.verification.errors import ServingError, typed_errors
from lifecycle.verification.verify import read_samples

# Of all pictures. The first ones of a server are slower, so that one more round goes before and does not count.
ROUNDS = 5


def compare_latency(candidate_url: str, live_url: str | None, model: str, samples_dir: Path) -> Latency:
    """Ask the candidate, and the live version if there is one, for every verification picture.

    A live version that refuses the pictures (it may be of another image size) is left out.

    Raises:
        ServingUnavailable, ServingError: the candidate does not answer, or refuses.
        SamplesUnusable: the folder is not what the evaluation writes.
    """
    tensors = [
        sample.pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        for sample in read_samples(samples_dir).samples
    ]
    with ExitStack() as stack:
        candidate = stack.enter_context(Detector(candidate_url, model))
        live = stack.enter_context(Detector(live_url, model)) if live_url is not None else None
        _time(candidate, tensors)
        if live is not None and not _answers(live, tensors):
            live = None
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            took[0].extend(_time(candidate, tensors))
            if live is not None:
                took[1].extend(_time(live, tensors))
    return Latency(*took)


def _time(detector: Detector, tensors: list[Floats]) -> list[float]:
    seconds = []
    for tensor in tensors:
        started = time.perf_counter()
        with typed_errors():
            detector.infer(tensor)
        seconds.append(time.perf_counter() - started)
    return seconds


def _answers(detector: Detector, tensors: list[Floats]) -> bool:
    try:
        _time(detector, tensors)
    except ServingError:
        return False
    return True
