"""The digest of a dataset: the same content has the same digest on any machine, in any form, in any order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

Entry = tuple[str, str, str, str]  # split, key (relative path), SHA-256 of the image, SHA-256 of the label file or "-"


ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dataset_digest(names: list[str], entries: Iterable[Entry]) -> str:
    """SHA-256 (64 hex digits) over the class names and the sorted entries, as one JSON object that is never whole."""
    digest = hashlib.sha256(f'{{"names":{ENCODER.encode(names)},"samples":['.encode())
    for number, entry in enumerate(sorted(entries)):
        digest.update(f"{',' if number else ''}{ENCODER.encode(entry)}".encode())
    digest.update(b"]}")
    return digest.hexdigest()
