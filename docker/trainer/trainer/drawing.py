"""Pictures with boxes, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from trainer.pictures import read_rgb

PALETTE = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000", "#808000", "#000075")
TILE = 320  # pixels a side


def load_image(path: Path) -> Image.Image:
    """An image in RGB, as training sees it."""
    return Image.fromarray(read_rgb(path))


def draw_boxes(image: Image.Image, boxes: np.ndarray, texts: Sequence[str], scale: float = 1.0) -> Image.Image:
    """A copy of ``image``, enlarged, with boxes (n, 5 or more) class x1 y1 x2 y2 in pixels and a text for each."""
    side = round(image.width * scale), round(image.height * scale)
    canvas = image.resize(side, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=12)
    for row, text in zip(boxes, texts, strict=True):
        color = PALETTE[int(row[0]) % len(PALETTE)]
        left, top, right, bottom = (float(value) * scale for value in row[1:5])
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=color, width=2)
        place = (left, max(0.0, top - 14))
        draw.rectangle(draw.textbbox(place, text, font=font), fill=color)
        draw.text(place, text, fill="white", font=font)
    return canvas


def grid(tiles: Sequence[Image.Image], columns: int = 4) -> Image.Image:
    """Tiles of any size, each fitted into a square, side by side."""
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (min(columns, len(tiles)) * TILE, rows * TILE), "#202020")
    for number, tile in enumerate(tiles):
        fitted = ImageOps.contain(tile, (TILE - 4, TILE - 4))
        sheet.paste(fitted, (number % columns * TILE + 2, number // columns * TILE + 2))
    return sheet


def scale_to_tile(image: Image.Image) -> float:
    """How much to enlarge (or shrink) an image so that it fills a tile."""
    return TILE / max(image.size)
