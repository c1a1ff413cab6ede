"""Draws detections on a picture, readable on small pictures too."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yolo_client.letterbox import Floats

# Labels need about this many pixels of picture to be read.
READABLE_SIDE = 640


def draw_detections(image: Image.Image, rows: Floats, class_names: Sequence[str] = ()) -> Image.Image:
    """Draws boxes with class and confidence.

    Args:
        image: the picture; it is not changed.
        rows: (n, 6): x1, y1, x2, y2 in the picture's pixels, confidence, class.
        class_names: by class index; a class without a name is written as its number.

    Returns:
        An RGB picture; one smaller than 640 pixels is enlarged by a whole factor, so that its labels can be read.
    """
    factor = max(1, READABLE_SIDE // max(image.width, image.height))
    canvas = image.convert("RGB")
    if factor > 1:
        canvas = canvas.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=max(11, max(canvas.size) // 50))
    width = max(1, max(canvas.size) // 320)
    for row in rows[np.argsort(rows[:, 4])]:  # the most confident last, on top
        index = int(row[5])
        name = class_names[index] if 0 <= index < len(class_names) else str(index)
        box = [float(value) * factor for value in row[:4]]
        pen.rectangle(box, outline=_color(index), width=width)
        _label(pen, canvas.size, (box[0], box[1]), f"{name} {row[4]:.2f}", font, _color(index))
    return canvas


def contact_sheet(pictures: Sequence[Image.Image], columns: int = 3, gap: int = 8) -> Image.Image:
    """Puts pictures side by side, row by row, on white; `gap` in pixels."""
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    columns = min(columns, len(pictures))
    lines = -(-len(pictures) // columns)
    width, height = max(picture.width for picture in pictures), max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, lines * (height + gap) - gap), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, ((index % columns) * (width + gap), (index // columns) * (height + gap)))
    return sheet


def _label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    corner: tuple[float, float],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    color: tuple[int, int, int],
) -> None:
    """Writes a label above a box's corner, inside the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    x = min(max(0.0, corner[0]), max(0.0, size[0] - right - 4))
    y = max(0.0, corner[1] - bottom - 3)
    pen.rectangle((x, y, x + right + 3, y + bottom + 3), fill=color)
    pen.text((x + 2 - left, y + 1 - top / 2), text, font=font, fill=_ink(color))


def _color(index: int) -> tuple[int, int, int]:
    """A colour of its own for each class: hues by the golden angle, so that neighbours differ most."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.381966) % 1, 0.85, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _ink(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever can be read on the colour."""
    bright = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140
    return (0, 0, 0) if bright else (255, 255, 255)
