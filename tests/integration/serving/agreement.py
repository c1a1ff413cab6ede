"""Whether two programs found the same objects, on any processor: there, equal scores come in either order."""

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

Rows = np.ndarray[Any, Any]


def assert_same_objects(ours: Rows, theirs: Rows, *, score: float, place: float) -> None:
    """Each object of one list is one of the other: its class, a score and a box that are as near as the limits.

    Args:
        ours: detections (n, 6), as x1, y1, x2, y2, score, class.
        theirs: as many, the best first. Of a list that is cut off, objects as good as the last one may be others.
        score: how far scores may be apart.
        place: how far, in pixels, a side of a box may be off.
    """
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours[:, 4], theirs[:, 4], atol=score)
    sure = theirs[theirs[:, 4] > theirs[-1, 4] + 2 * score]
    far = np.abs(sure[:, None, :4] - ours[None, :, :4]).max(axis=2) / place
    far = np.maximum(far, np.abs(sure[:, None, 4] - ours[None, :, 4]) / score)
    far[sure[:, None, 5] != ours[None, :, 5]] = np.inf
    wrong = far > 1
    rows, columns = linear_sum_assignment(wrong)
    without = sure[rows[wrong[rows, columns]]]
    assert not len(without), f"not among ours: {without}"
