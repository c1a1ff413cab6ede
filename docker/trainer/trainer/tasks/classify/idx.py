"""IDX files, the form of MNIST and of its relatives (Fashion-MNIST, KMNIST, EMNIST): images in one, labels in another.

``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, ``t10k-…`` for the test; each may be gzipped. The format is
on MNIST's page (http://yann.lecun.com/exdb/mnist/): two zero bytes, the type (08: bytes), the number of dimensions,
each dimension as a big-endian 32-bit number, then the values.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.datasets.accents import composed
from trainer.datasets.model import Sample, Tree
from trainer.datasets.split_names import split_of
from trainer.errors import InputError
from trainer.progress import Progress, say

IMAGES = re.compile(r"(?P<before>.*?)(?P<split>[A-Za-z0-9]+)[-_.]images[-.]idx3[-.]ubyte(\.gz)?", re.IGNORECASE)
TEST = "t10k"  # MNIST's name of its test split: ten thousand images
BYTES = 0x08
NAMES = "classes.txt"
MOST_BYTES = 4_000_000_000  # of one file's values: sixty times MNIST


def find_idx(root: Path) -> dict[str, tuple[Path, Path]]:
    """The files of images and of labels of each split below a folder; nothing: there are no such files.

    Raises:
        InputError: a file of images has no file of labels, its name tells no split, or two tell the same.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for path in sorted(root.rglob("*")):
        told = IMAGES.fullmatch(path.name)
        if not told or not path.is_file() or path.name.startswith("."):
            continue
        split = "test" if told["split"].lower() == TEST else split_of(told["split"])
        if split is None:
            raise InputError(
                f"The name of {path.name} tells no split. Name the files as MNIST's are: train-images-idx3-ubyte, "
                "t10k-images-idx3-ubyte, and the same with labels-idx1."
            )
        if split in found:
            raise InputError(f"Two files have the images of {split}: {found[split][0].name} and {path.name}. Keep one.")
        found[split] = (path, _labels_of(path))
    if found and "train" not in found:
        raise InputError(f"There is no train-images-idx3-ubyte beside {next(iter(found.values()))[0].name}. Add it.")
    return found


def _labels_of(images: Path) -> Path:
    name = re.sub("images", "labels", images.name, flags=re.IGNORECASE)
    name = re.sub("idx3", "idx1", name, flags=re.IGNORECASE).removesuffix(".gz")
    for candidate in (images.with_name(name), images.with_name(f"{name}.gz")):
        if candidate.is_file():
            return candidate
    raise InputError(f"{images.name} has no labels: there is no {name} beside it, nor with .gz. Add it.")


def read_idx(files: dict[str, tuple[Path, Path]], scratch: Path) -> Tree:
    """Write every image as a PNG below ``scratch``, and list them.

    Raises:
        InputError: a file is not in the format, is cut short, or images and labels do not go together.
    """
    arrays = {split: _read_pair(*pair) for split, pair in files.items()}
    names = _names(files["train"][0].parent, 1 + max(int(labels.max()) for _, labels in arrays.values()))
    total = sum(len(labels) for _, labels in arrays.values())
    say(f"Writing {total} images of IDX files as PNG")
    progress = Progress("Writing images", total)
    splits = {}
    for split, (images, labels) in arrays.items():
        splits[split] = list(_write(scratch, split, images, labels, progress))
    return Tree(scratch, names, splits, "IDX files, as MNIST's", ours=True)


def _write(scratch: Path, split: str, images: np.ndarray, labels: np.ndarray, progress: Progress) -> Iterator[Sample]:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        key = f"{split}/{label}/{number:06d}.png"
        place = scratch / key
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place, compress_level=1)
        progress.step()
        yield Sample(key, place, None, rows=str(label))


def _names(folder: Path, count: int) -> list[str]:
    """The numbers, or the lines of classes.txt beside the files."""
    file = folder / NAMES
    if not file.is_file():
        return [str(number) for number in range(count)]
    names = [composed(line.strip()) for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if len(names) < count or len(set(names)) < len(names):
        raise InputError(
            f"{NAMES} has {len(set(names))} different names, and the labels go from 0 to {count - 1}. Write a line for "
            "each class, in the order of their numbers."
        )
    return names


def _read_pair(images_file: Path, labels_file: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _read(images_file, 3), _read(labels_file, 1)
    if len(images) != len(labels):
        raise InputError(
            f"{images_file.name} has {len(images)} images and {labels_file.name} {len(labels)} labels: they do not "
            "belong together, or one is cut short. Fetch both again."
        )
    if not len(labels):
        raise InputError(f"{images_file.name} has no images. Fetch it again.")
    return images, labels


def _read(file: Path, dimensions: int) -> np.ndarray:
    """The values of one file, bytes in ``dimensions`` dimensions."""
    content = _content(file)
    head = 4 + 4 * dimensions
    if len(content) < head or content[:2] != b"\0\0":
        raise InputError(f"{file.name} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}. {_AGAIN}")
    if content[2] != BYTES or content[3] != dimensions:
        raise InputError(
            f"{file.name} has values of type {content[2]:02x} in {content[3]} dimensions, not bytes (08) in "
            f"{dimensions}. {_AGAIN}"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:head])
    wanted = int(np.prod(shape, dtype=object))
    if len(content) - head != wanted:
        raise InputError(
            f"{file.name} should have {wanted} bytes of values ({'×'.join(map(str, shape))}) and has "
            f"{len(content) - head}: it is cut short or damaged. {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


_AGAIN = "Fetch it again."


def _content(file: Path) -> bytes:
    """The file's content, unpacked; whether it is gzipped is told by its first bytes, as browsers unpack some."""
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file) if packed else file.open("rb") as content:
            found = content.read(MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{file.name} cannot be unpacked ({error}): it is cut short or damaged. {_AGAIN}") from error
    if len(found) > MOST_BYTES:
        raise InputError(f"{file.name} has more than {MOST_BYTES / 1e9:.0f} GB of values. Give a folder of images.")
    return found
