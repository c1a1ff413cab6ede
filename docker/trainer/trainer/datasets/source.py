"""Fetches what a dataset URI names: a directory or an archive, by path, file://, http(s):// or s3:// (fsspec)."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trainer.datasets import ndjson
from trainer.datasets.archive import unpack
from trainer.errors import InputError
from trainer.progress import say
from trainer.transfer import REMOTE, download, open_store, shown, with_retries


def fetch(uri: str, scratch: Path) -> tuple[Path, bool]:
    """Bring a dataset to this machine.

    Args:
        uri: where it is.
        scratch: an empty folder for what is downloaded and unpacked.

    Returns:
        Its folder (or the data.yaml, COCO or NDJSON file that the URI names), and whether it is a copy of our own, in
        ``scratch``.

    Raises:
        InputError: there is nothing at the URI, or it is not a dataset.
        TrainerError: the network or the store failed, four times.
    """
    parts = urlsplit(uri)
    if parts.scheme in REMOTE:
        return _fetch_remote(uri, scratch), True
    if parts.scheme not in {"", "file"}:
        raise InputError(
            f"The dataset {uri!r} has an unknown scheme. Give a path, file://, http(s):// or s3://, or digits."
        )
    path = Path(unquote(parts.path) if parts.scheme == "file" else uri)
    if path.is_dir():
        return path, False
    if path.is_file() and path.suffix.lower() in {".yaml", ".yml", ".json", ndjson.SUFFIX}:
        return path, False
    if path.is_file():
        say(f"Unpacking {path}")
        unpack(path, scratch / "source", uri)
        return scratch / "source", True
    raise InputError(
        f"The dataset {uri!r} does not exist: there is no such file or directory in the pod. Mount it, or "
        "give an http(s):// or s3:// address (or `digits`, which needs no file)."
    )


def _fetch_remote(uri: str, scratch: Path) -> Path:
    say(f"Fetching {shown(uri)}")
    scheme = urlsplit(uri).scheme
    filesystem, path = open_store(uri)
    if scheme == "s3" and with_retries("dataset", uri, lambda: filesystem.isdir(path)):
        with_retries("dataset", uri, lambda: _download_folder(filesystem, path, scratch / "source"))
        return scratch / "source"
    if urlsplit(uri).path.lower().endswith(ndjson.SUFFIX):
        file = scratch / "source" / f"dataset{ndjson.SUFFIX}"
        file.parent.mkdir()
        with_retries("dataset", uri, lambda: download(filesystem, path, file))
        return file
    archive = scratch / "archive"
    with_retries("dataset", uri, lambda: download(filesystem, path, archive))
    unpack(archive, scratch / "source", shown(uri))
    archive.unlink()
    return scratch / "source"


def _download_folder(filesystem: Any, path: str, target: Path) -> None:
    root = path.rstrip("/")
    keys = [key for key in filesystem.find(root) if not key.endswith("/")]
    for number, key in enumerate(keys, start=1):
        relative = key.removeprefix(root).lstrip("/")
        if ".." in Path(relative).parts:
            raise InputError(f"The folder {path} has an object that leaves it: {relative!r}.")
        local = target / relative
        local.parent.mkdir(parents=True, exist_ok=True)
        if not local.exists():  # an earlier attempt's
            scratch = local.with_name(local.name + ".part")
            filesystem.get_file(key, str(scratch))
            scratch.replace(local)
        if number % 1000 == 0:
            say(f"Fetched {number}/{len(keys)} files")
