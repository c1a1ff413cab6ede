"""How many threads a training step on a CPU is worth."""

from __future__ import annotations

import math

# Threads wait for each other in every layer, most of all in the backward convolution. On two shared cores of an AMD
# EPYC a step of 16 images of 128 pixels in a network of 0.4 million weights (2 GFLOP) took 57-63 ms of CPU with one
# thread, and 111-127 ms with two, which were no quicker by the clock.
GFLOP_A_THREAD = 3.0


def threads_for_step(gflop: float, cpus: int) -> int:
    """Threads for a training step, from 1 to ``cpus``.

    Args:
        gflop: billions of floating point operations of a forward pass of one batch; 0 where they are unknown.
        cpus: that the process may use.
    """
    return cpus if gflop <= 0 else max(1, min(cpus, math.ceil(gflop / GFLOP_A_THREAD)))
