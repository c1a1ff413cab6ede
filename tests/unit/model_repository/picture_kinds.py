"""Makes one image file of every kind that a dataset may have, and decodes each as the trainer does.

Run in the trainer's environment: ``python picture_kinds.py FOLDER`` writes the files to FOLDER/files and, for each, the
pixels (height, width, 3) RGB that training, evaluation and Pillow see to FOLDER/<decoder>/<file>.npy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[3]
ORIENTATION = 0x0112  # EXIF's tag
HEIGHT, WIDTH = 44, 60


def scene() -> np.ndarray:
    """A picture (h, w, 3) of which no two corners are alike, so that every turn of it is another picture."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.stack([rows * 5, columns * 4, (rows + columns) * 2], 2).astype(np.uint8)
    picture[4:12, 6:14] = (250, 10, 10)
    picture[30:36, 40:56] = (10, 240, 30)
    return picture


def make(folder: Path) -> None:
    """Write the files; the ending of the name is the suffix that a dataset has."""
    folder.mkdir(parents=True)
    colour = scene()
    grey = colour[..., 1]
    image = Image.fromarray(colour)
    deep = (colour.astype(np.uint16) << 8) + 77
    alpha = np.dstack([colour, np.full((HEIGHT, WIDTH), 90, np.uint8)])
    image.save(folder / "colour.jpg", quality=90)
    image.save(folder / "progressive.jpg", quality=90, progressive=True)
    Image.fromarray(grey).save(folder / "grey.jpg", quality=90)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    image.save(folder / "colour.png")
    Image.fromarray(grey).save(folder / "grey.png")
    Image.fromarray(alpha).save(folder / "transparent.png")
    image.quantize(32).save(folder / "palette.png")
    image.convert("1").save(folder / "bits.png")
    cv2.imwrite(str(folder / "deep-grey.png"), deep[..., 1])
    cv2.imwrite(str(folder / "deep-colour.png"), deep[..., ::-1])
    image.save(folder / "lossy.webp", quality=90)
    Image.fromarray(alpha).save(folder / "lossless.webp", lossless=True, exact=True)
    image.save(folder / "colour.bmp")
    image.save(folder / "colour.tif")
    Image.fromarray(grey).save(folder / "grey.tiff")
    cv2.imwrite(str(folder / "deep-grey.tif"), deep[..., 1])
    cv2.imwrite(str(folder / "deep-colour.tif"), deep[..., ::-1])
    image.save(folder / "pages.tif", save_all=True, append_images=[Image.fromarray(colour[::-1])])
    for number in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = number
        for suffix, options in (("jpg", {"quality": 95}), ("png", {}), ("webp", {"lossless": True}), ("tif", {})):
            image.save(folder / f"turned-{number}.{suffix}", exif=exif, **options)


def decode(folder: Path) -> None:
    """Write what each of the trainer's decoders sees of the files."""
    sys.path.insert(0, str(ROOT / "docker/trainer"))
    from trainer.pictures import read_rgb
    from ultralytics.utils.patches import imread

    for name in ("training", "evaluation", "pillow"):
        (folder / name).mkdir()
    for file in sorted((folder / "files").iterdir()):
        trained = imread(file)
        assert trained is not None, f"Ultralytics cannot read {file.name}"
        np.save(folder / "training" / f"{file.name}.npy", np.ascontiguousarray(trained[..., ::-1]))
        np.save(folder / "evaluation" / f"{file.name}.npy", read_rgb(file))
        with Image.open(file) as image:
            np.save(folder / "pillow" / f"{file.name}.npy", np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


if __name__ == "__main__":
    make(Path(sys.argv[1]) / "files")
    decode(Path(sys.argv[1]))
