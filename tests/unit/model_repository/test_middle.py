"""What a classifier takes of a picture; that it is Ultralytics' is in tests/contracts/test_pixels_and_boxes.py."""

import resource

import numpy as np
import pytest

pytest.importorskip("cv2", reason="only the Triton image decodes pictures")

from classifier.middle import middle


@pytest.mark.parametrize("upright", [True, False])
def test_it_is_the_square_in_the_middle(upright: bool) -> None:
    picture = np.zeros((300, 100, 3), np.uint8)
    picture[100:200] = (10, 20, 30)
    square = middle(picture if upright else picture.transpose(1, 0, 2), 50)
    assert square.shape == (3, 50, 50) and square.flags.c_contiguous
    # The filter looks over the edge by a pixel.
    assert (square[:, 2:-2, 2:-2] == np.array([10, 20, 30])[:, None, None]).all()


def test_a_line_of_pixels_costs_no_more_memory_than_its_square() -> None:
    """Scaled whole, a picture of 1 x 1,000,000 would be 224 x 224,000,000 pixels."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = np.full((1, 1_000_000, 3), 77, np.uint8)
    assert (middle(line, 224) == 77).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
