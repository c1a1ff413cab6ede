"""How long two servers take for the same pictures, asked by turns so that a busy machine slows both alike."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lifecycle.errors import ServingError
from lifecycle.kinds.kind import Server
from lifecycle.policy.candidate import Latency
from lifecycle.verification.errors import typed_errors
from lifecycle.verification.verify import kind_of_samples

# Of all pictures. The first ones of a server are slower, so that one more round goes before and does not count.
ROUNDS = 5
TIMEOUT = 30.0  # seconds of one call


def compare_latency(candidate_url: str, live_url: str | None, model: str, samples_dir: Path) -> Latency:
    """Ask the candidate, and the live version if there is one, for every verification picture.

    A live version that refuses the pictures (it may be of another image size) is left out.

    Raises:
        ServingUnavailable, ServingError: the candidate does not answer, or refuses.
        SamplesUnusable: the folder is not what the evaluation writes.
    """
    kind = kind_of_samples(samples_dir)
    samples = kind.answers.read_samples(samples_dir).samples
    with ExitStack() as stack:
        candidate = stack.enter_context(kind.answers.connect(candidate_url, model, "http", TIMEOUT))
        live = None
        if live_url is not None:
            live = stack.enter_context(kind.answers.connect(live_url, model, "http", TIMEOUT))
        _time(candidate, samples)
        if live is not None and not _answers(live, samples):
            live = None
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            took[0].extend(_time(candidate, samples))
            if live is not None:
                took[1].extend(_time(live, samples))
    return Latency(*took)


def _time(server: Server, samples: Sequence[Any]) -> list[float]:
    seconds = []
    for sample in samples:
        started = time.perf_counter()
        with typed_errors():
            server.time(sample)
        seconds.append(time.perf_counter() - started)
    return seconds


def _answers(server: Server, samples: Sequence[Any]) -> bool:
    try:
        _time(server, samples)
    except ServingError:
        return False
    return True
