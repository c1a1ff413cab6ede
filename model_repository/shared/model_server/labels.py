"""Writes the class names of a version to a file, one a line: the `label_filename` of an output.

    python3 -m model_server.labels LABELS.txt       (in the folder of model.py, with the server's environment)

Triton reads the file before it starts model.py, so whoever assembles the model's folder runs this where the
configuration names one. Asks as the server will: with a pinned sha256 that the cache knows, nobody.
"""

import os
import sys
from pathlib import Path

from model_server.artifact import load_artifact, load_record
from model_server.errors import LoadError, one_line
from model_server.onnx_metadata import read_metadata
from model_server.settings import Settings, read_settings


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
    return read_metadata(content).class_names


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
