"""Tells whether a dataset is another one, from what its store says of it: nothing is downloaded.

It runs where the triggerer runs, with the triggerer's files and credentials (for S3 botocore's own: `AWS_…`, a role).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lifecycle.errors import DatasetUnreadable

# Package that fsspec needs for a scheme.
PACKAGES = {"http": "aiohttp", "https": "aiohttp", "s3": "s3fs"}
SILENCE = 15.0  # seconds without a connection or a byte
# A file that names a dataset which lies around it (docs/datasets.md).
DESCRIPTIONS = frozenset({".yaml", ".yml", ".json"})
# What a web server may say of a file's content, the surest first.
CONTENT_HEADERS = ("ETag", "Content-MD5", "Digest")


def missing_package(uri: str) -> str | None:
    """The package without which datasets of this scheme cannot be watched; None if it is there, or none is needed."""
    package = PACKAGES.get(urlsplit(uri).scheme)
    return package if package is not None and find_spec(package) is None else None


def fingerprint(uri: str) -> str:
    """What is other once the dataset is other; blocks while the store answers.

    Args:
        uri: `http(s)://` or `s3://` (a file or, in S3, a folder), `file://`, or a path as this machine sees it.

    Returns:
        ETag (http, s3), size and time (local files), or a digest of a folder's listing (path, size, and time or ETag of
        each file), with the kind before it: `etag "5f2d"`.

    Raises:
        DatasetUnreadable: there is nothing, it may not be read, or the store does not answer or does not say enough.
    """
    if package := missing_package(uri):
        raise DatasetUnreadable(
            f"{uri} cannot be watched: the package {package} is missing. Add it to docker/airflow/requirements.in."
        )
    scheme = urlsplit(uri).scheme
    try:
        if scheme in ("http", "https"):
            return _of_web_file(uri)
        if scheme == "s3":
            return _of_objects(uri)
        return _of_path(Path(unquote(urlsplit(uri).path) if scheme == "file" else uri))
    except DatasetUnreadable:
        raise
    except Exception as error:  # what fails underneath differs by protocol: aiohttp, botocore, OSError
        raise DatasetUnreadable(f"{uri} cannot be read: {_reason(error)}.") from error


def _of_web_file(uri: str) -> str:
    import fsspec
    from aiohttp import ClientTimeout

    # By default aiohttp waits 5 minutes, and ignores HTTPS_PROXY.
    limits = ClientTimeout(total=4 * SILENCE, sock_connect=SILENCE, sock_read=SILENCE)
    store, path = fsspec.core.url_to_fs(uri, client_kwargs={"timeout": limits, "trust_env": True})
    found = store.info(path)
    for header in CONTENT_HEADERS:
        if header in found:
            return f"{header.lower()} {found[header]}"
    if "Last-Modified" in found:
        return f"modified {found['Last-Modified']}, {found['size']} bytes"
    raise DatasetUnreadable(
        f"{uri} cannot be watched: its server sends neither ETag nor Last-Modified. Use run.schedule "
        "with skip_unchanged."
    )


def _of_objects(uri: str) -> str:
    import fsspec

    store, path = fsspec.core.url_to_fs(uri)
    store.invalidate_cache()
    found = store.info(path)
    if found["type"] != "directory":
        return f"etag {found['ETag']}"
    root = path.rstrip("/") + "/"
    objects = store.find(path, detail=True)
    return _listing((name.removeprefix(root), one["size"], one["ETag"]) for name, one in objects.items())


def _of_path(path: Path) -> str:
    if path.suffix in DESCRIPTIONS:
        path = path.parent
    if not path.is_dir():
        found = path.stat()
        return f"modified {found.st_mtime_ns}, {found.st_size} bytes"
    return _listing(_files(path))


def _files(folder: Path) -> Iterable[tuple[str, int, int]]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            file = Path(parent, name)
            found = file.stat()
            yield str(file.relative_to(folder)), found.st_size, found.st_mtime_ns


def _listing(files: Iterable[tuple[Any, ...]]) -> str:
    """A digest of a folder's listing, in whichever order it came."""
    digest = hashlib.sha256()
    number = 0
    for entry in sorted(files):
        number += 1
        digest.update(repr(entry).encode() + b"\n")
    return f"listing {digest.hexdigest()} of {number} files"


def _reason(error: BaseException) -> str:
    """An error in words. fsspec reports every failure of a web server as a missing file; the cause knows better."""
    cause = error.__cause__ or error
    status = getattr(cause, "status", None)
    if isinstance(status, int) and status:
        return f"HTTP {status}"
    text = re.sub(r"\s+", " ", str(cause))[:300]
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
