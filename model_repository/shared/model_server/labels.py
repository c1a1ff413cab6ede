"""Writes the class names of a version to a file, one a line: the `label_filename` of an output.

    python3 -m model_server.labels LABELS.txt       (in the folder of model.py, with the server's environment)

Triton reads the file before it starts model.py, so whoever assembles the model's folder runs this where the
configuration names one. Asks as the server will: with a pinned sha256 that the cache knows, nobody.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from model_server.artifact import load_artifact, load_record
from model_server.errors import LoadError, one_line
from model_server.onnx_metadata import names_in
from model_server.settings import Settings, read_settings

# Of ONNX's ModelProto: the number of `metadata_props`, each with a key (1) and a value (2).
NOTES = 14
# Bytes of the kinds of protobuf's fields that always have as many.
FIXED = {1: 8, 5: 4}


def labels_of(settings: Settings) -> list[str]:
    """Class names of the version that the settings name; empty where nobody noted them.

    Raises:
        LoadError: it does not exist, or is not what it should be.
    """
    found = load_record(settings, _say).class_names
    if found:
        return found
    # Too many for a tag: then the file's own notes have them. It stays in the cache for the server.
    content, _ = load_artifact(settings, _say)
    return names_in(notes_of(content).get("names", ""))


def notes_of(content: bytes) -> dict[str, str]:
    """The notes of an ONNX file (`metadata_props` of its ModelProto), without reading the whole model into memory.

    Raises:
        LoadError: it is something else.
    """
    try:
        entries = [dict(_fields(entry)) for number, entry in _fields(memoryview(content)) if number == NOTES]
        return {str(entry[1], "utf-8"): str(entry.get(2, b""), "utf-8") for entry in entries}
    except (IndexError, KeyError, ValueError) as error:
        raise LoadError(f"the file is not an ONNX model ({error!r}): register the right one") from error


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and bytes of a protobuf message's fields that have a length; the others are stepped over."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, length = key & 7, 0
        if kind == 0:
            _, place = _varint(message, place)
        elif kind == 2:
            length, place = _varint(message, place)
            yield key >> 3, message[place : place + length]
        elif kind in FIXED:
            length = FIXED[kind]
        else:
            raise ValueError(f"a field of the kind {kind}")
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return value, place


def main(target: Path) -> None:
    """Writes the file."""
    try:
        names = labels_of(read_settings({}, os.environ))
    except LoadError as error:
        sys.exit(f"ERROR: the class names for {target.name} could not be found: {error}")
    target.write_text("".join(f"{one_line(name)}\n" for name in names), encoding="utf-8")
    _say(f"{target.name}: {len(names)} class names")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
