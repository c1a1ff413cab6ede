"""Pictures with the name of a class, for people."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from trainer.datasets.model import Sample
from trainer.drawing import TILE, load_image
from trainer.networks import Network, to_batch
from trainer.tasks.classify.measure import class_of
from trainer.tasks.classify.pictures import read_fitted

RIGHT, WRONG, PLAIN = "#2e7d32", "#b71c1c", "#37474f"
BAR = 24  # pixels


def draw_sample(sample: Sample, names: list[str]) -> Image.Image:
    """An image with its class under it."""
    return _labelled(load_image(sample.image), names[class_of(sample)], PLAIN)


def draw_answer(network: Network, sample: Sample, names: list[str], image_size: int) -> Image.Image:
    """A test image as the network sees it, with what it is taken for; in red where it is something else."""
    picture = read_fitted(sample.image, image_size)
    scores = network.raw(to_batch([picture]))[0]
    best, actual = int(scores.argmax()), class_of(sample)
    text = f"{names[best]} {scores[best]:.2f}"
    if best != actual:
        text += f" (is {names[actual]})"
    return _labelled(Image.fromarray(picture), text, RIGHT if best == actual else WRONG)


def _labelled(image: Image.Image, text: str, color: str) -> Image.Image:
    """The image in a tile, enlarged, over a bar with the text."""
    tile = Image.new("RGB", (TILE, TILE), "#202020")
    room = TILE - BAR
    scale = min(TILE / image.width, room / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    fitted = image.resize(size, Image.Resampling.BICUBIC)
    tile.paste(fitted, ((TILE - size[0]) // 2, (room - size[1]) // 2))
    draw = ImageDraw.Draw(tile)
    draw.rectangle((0, room, TILE, TILE), fill=color)
    draw.text((6, room + 4), text, fill="white", font=ImageFont.load_default(size=13))
    return tile
