"""Drawing: the boxes are where the rows say, and small pictures become readable."""

import numpy as np
import pytest
from PIL import Image
from yolo_client.draw import contact_sheet, draw_detections


def test_a_large_picture_keeps_its_size_and_gets_the_box() -> None:
    picture = Image.new("RGB", (800, 700))
    drawn = draw_detections(picture, np.array([[100, 200, 300, 400, 0.9, 0]], np.float32), ["digit"])
    assert drawn.size == (800, 700)
    pixels = np.asarray(drawn)
    assert pixels[300, 100].any() and pixels[300, 300].any() and pixels[400, 200].any()
    assert not pixels[300, 200].any(), "the box is not filled"
    assert not np.asarray(picture).any(), "the picture itself is not changed"


def test_a_small_picture_is_enlarged_with_its_box() -> None:
    drawn = draw_detections(Image.new("L", (64, 32)), np.array([[8, 8, 24, 24, 0.9, 0]], np.float32))
    assert drawn.size == (640, 320)
    assert np.asarray(drawn)[160, 80].any()


def test_without_detections_it_is_the_picture() -> None:
    picture = Image.new("RGB", (700, 700), (10, 20, 30))
    drawn = draw_detections(picture, np.zeros((0, 6), np.float32))
    assert np.array_equal(np.asarray(drawn), np.asarray(picture))


def test_labels_stay_inside_and_tell_classes_apart() -> None:
    blank = Image.new("RGB", (640, 640))
    row = np.array([[600, 0, 640, 40, 0.5, 1]], np.float32)
    one, other = (np.asarray(draw_detections(blank, row, names)) for names in (["a", "bird"], ["a", "tree"]))
    assert one[:30, 560:600].any(), "the label of a box at the right edge is moved to the left"
    assert not np.array_equal(one, other)


def test_classes_have_colours_of_their_own() -> None:
    blank = Image.new("RGB", (640, 640))
    colors = {
        tuple(np.asarray(draw_detections(blank, np.array([[99, 99, 200, 200, 0.5, index]], np.float32)))[150, 99])
        for index in range(20)
    }
    assert len(colors) == 20


def test_contact_sheet() -> None:
    sheet = contact_sheet([Image.new("RGB", (100, 50), "red")] * 4, columns=3, gap=10)
    assert sheet.size == (320, 110)
    assert sheet.getpixel((50, 80)) == (255, 0, 0) and sheet.getpixel((300, 80)) == (255, 255, 255)
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])
