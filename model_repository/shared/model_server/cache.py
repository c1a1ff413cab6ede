"""Models on disk by their sha256, so that a restart needs no download, and with a pinned sha256 no MLflow either.

    CACHE/objects/<sha256>.onnx      the file (that in INT8 is no ONNX file, but has the same ending)
    CACHE/versions/<key>.json        what MLflow said about a version, by server, name and number
    CACHE/engines/<sha256>/          what TensorRT built of a file, which goes when the file goes

Files are written beside their place and renamed, so several pods or instances may share a cache: the last one to finish
wins, with the same bytes. What is served is always the very bytes whose checksum was computed.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model_server.errors import LoadError
from model_server.record import VersionRecord
from model_server.settings import Settings

ABANDONED_SECONDS = 3600


class Cache:
    """One cache folder; `limit` in bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def open(self) -> None:
        """Makes the folder and removes what a killed download left behind.

        Raises:
            LoadError: it cannot be written, or another user owns it and could change what is served.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._folder.stat().st_uid not in (os.getuid(), 0):
                raise LoadError(
                    f"{self._folder} belongs to another user, who could change the model: set MODEL_CACHE_DIR to a "
                    "folder of your own"
                )
            for name in ("objects", "versions", "incoming"):
                (self._folder / name).mkdir(exist_ok=True)
            for left in (self._folder / "incoming").iterdir():
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise LoadError(
                f"the model cache {self._folder} cannot be written ({error.strerror}): set MODEL_CACHE_DIR to a folder "
                "that can be"
            ) from error

    def read(self, sha256: str) -> bytes | None:
        """The model with this checksum; None where it is not there. A damaged file is removed."""
        path = self._object(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(content).hexdigest() != sha256:
            path.unlink(missing_ok=True)
            return None
        with suppress(FileNotFoundError):  # another pod may have made room meanwhile
            os.utime(path)  # what was used last is what is removed last
        return content

    def write(self, sha256: str, source: Path) -> None:
        """Moves a file that is in `incoming` to its place, then removes the longest unused beyond the limit."""
        source.replace(self._object(sha256))
        with suppress(FileNotFoundError):
            os.utime(self._object(sha256))
        self._prune(keep=self._object(sha256))

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder to download into, on the cache's file system; it is gone afterwards.

        Raises:
            LoadError: it, or what goes into it, cannot be written: the disk may be full.
        """
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(dir=self._folder / "incoming"))
            yield folder
        except OSError as error:
            raise LoadError(
                f"the model cache {self._folder} cannot be written ({error.strerror or error}): make room there, or "
                "set MODEL_CACHE_DIR to a folder with room"
            ) from error
        finally:
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    def record(self, settings: Settings) -> VersionRecord | None:
        """What MLflow said about this version when it was downloaded."""
        try:
            return VersionRecord.from_json(self._record(settings).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # not there or damaged: MLflow knows

    def remember(self, settings: Settings, record: VersionRecord) -> None:
        """Keeps what MLflow said about this version."""
        with self.incoming() as folder:
            new = folder / "record.json"
            new.write_text(record.to_json(), encoding="utf-8")
            new.replace(self._record(settings))

    def engines(self, sha256: str) -> Path:
        """A folder for what TensorRT builds of a file; those of files that are no longer there are removed."""
        folder = self._folder / "engines"
        folder.mkdir(exist_ok=True)
        for other in folder.iterdir():
            if other.name != sha256 and not self._object(other.name).exists():
                shutil.rmtree(other, ignore_errors=True)
        found = folder / sha256
        found.mkdir(exist_ok=True)
        return found

    def _object(self, sha256: str) -> Path:
        return self._folder / "objects" / f"{sha256}.onnx"

    def _record(self, settings: Settings) -> Path:
        identity = f"{settings.tracking_uri}\n{settings.name}\n{settings.version}"
        return self._folder / "versions" / f"{hashlib.sha256(identity.encode()).hexdigest()}.json"

    def _prune(self, keep: Path) -> None:
        aged: list[tuple[float, int, Path]] = []
        for path in (self._folder / "objects").iterdir():
            try:
                state = path.stat()
            except FileNotFoundError:  # another pod was faster
                continue
            aged.append((state.st_mtime, state.st_size, path))
        total = sum(size for _, size, _ in aged)
        for _, size, path in sorted(aged):
            if total <= self._limit:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
