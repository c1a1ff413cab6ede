"""The workspace's weights: ``weights/<sha256>.pt``, each stored once, whole, for all runs."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.whole import write_whole

STALE = 24 * 3600.0  # seconds after which what is being fetched is what a killed pod left
_FETCHING = ".fetching-"


class Store:
    """The folder ``weights`` of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / "weights"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_stale()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A path for a file that is being fetched."""
        with tempfile.TemporaryDirectory(prefix=_FETCHING, dir=self._folder) as folder:
            yield Path(folder) / "weights.pt"

    def add(self, file: Path) -> tuple[Path, str]:
        """Take the file in, unless it is there already; return its place and its SHA-256 (hex)."""
        sha256 = _sha256(file)
        place = self._place(sha256)
        if self.find(sha256) is None:
            # Atomic: a pod that reads the same place meets the old file or the new one, which are the same.
            file.replace(place)
        return place, sha256

    def find(self, sha256: str) -> Path | None:
        """Weights by their checksum; None where they are missing or damaged."""
        place = self._place(sha256)
        return place if place.is_file() and _sha256(place) == sha256 else None

    def remember(self, url: str, sha256: str) -> None:
        """Note what an address that never changes its content has."""
        write_whole(self._note(url), json.dumps({"url": url, "sha256": sha256}).encode())

    def recall(self, url: str) -> Path | None:
        """The weights that an address had, or None."""
        try:
            return self.find(json.loads(self._note(url).read_text(encoding="utf-8"))["sha256"])
        except FileNotFoundError:
            return None

    def _place(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.pt"

    def _note(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"

    def _remove_stale(self) -> None:
        for path in self._folder.glob(f"{_FETCHING}*"):
            try:
                old = time.time() - path.stat().st_mtime > STALE
            except FileNotFoundError:
                continue
            if old:
                shutil.rmtree(path, ignore_errors=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
