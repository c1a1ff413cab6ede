"""Pictures as files."""

import io
from typing import Any

from PIL import Image


def file(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def red(width: int = 64, height: int = 64, value: int = 230) -> Image.Image:
    """A picture of one colour."""
    return Image.new("RGB", (width, height), (value, 0, 0))
