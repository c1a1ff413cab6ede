"""Fetches what a dataset URI names: a directory or an archive, by path, file://, http(s):// or s3:// (fsspec)."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from trainer.datasets.archive import unpack
from trainer.errors import InputError, TrainerError
from trainer.progress import say

REMOTE = ("http", "https", "s3")
ATTEMPTS = 4


def shown(uri: str) -> str:
    """The URI without its query and credentials, which may carry a signature: for messages and for MLflow."""
    parts = urlsplit(uri)
    if parts.scheme not in REMOTE:
        return uri
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def fetch(uri: str, scratch: Path) -> tuple[Path, bool]:
    """Bring a dataset to this machine.

    Args:
        uri: where it is.
        scratch: an empty folder for what is downloaded and unpacked.

    Returns:
        Its folder (or the data.yaml or COCO file that the URI names), and whether it is a copy of our own, in
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
    if path.is_file() and path.suffix in {".yaml", ".yml", ".json"}:
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
    import fsspec

    say(f"Fetching {shown(uri)}")
    scheme = urlsplit(uri).scheme
    filesystem, path = fsspec.core.url_to_fs(uri)
    if scheme == "s3" and _with_retries(uri, lambda: filesystem.isdir(path)):
        _with_retries(uri, lambda: _download_folder(filesystem, path, scratch / "source"))
        return scratch / "source"
    archive = scratch / "archive"
    _with_retries(uri, lambda: _download(filesystem, path, archive))
    unpack(archive, scratch / "source", shown(uri))
    archive.unlink()
    return scratch / "source"


def _download(filesystem: Any, path: str, target: Path) -> None:
    """One file. (Opening it instead would report every failure of a web server as a file that is not there.)"""
    from fsspec.callbacks import Callback

    said = time.monotonic()

    def tell(size: int | None, value: int, **_: Any) -> None:
        nonlocal said
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say(f"Fetched {value / 1e6:.0f} MB" + (f" of {size / 1e6:.0f}" if size else ""))

    filesystem.get_file(path, str(target), callback=Callback(hooks={"tell": tell}))


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


def _with_retries(uri: str, action: Callable[[], Any]) -> Any:
    """Do it, again after 1, 2 and 4 s (with jitter) where the network failed, not where the answer is no."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except TrainerError:
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(
                f"The dataset {shown(uri)} cannot be read: {_reason(error)}. Check the address, and the "
                "credentials that the pod has."
            ) from error
        except Exception as error:  # what fails underneath differs by protocol: aiohttp, botocore, OSError
            status = getattr(error, "status", None)
            if isinstance(status, int) and 400 <= status < 500 and status not in {408, 429}:
                raise InputError(
                    f"The dataset {shown(uri)} cannot be read: HTTP {status}. Check the address, and the "
                    "credentials that the pod has."
                ) from error
            if attempt == ATTEMPTS:
                raise TrainerError(
                    f"The dataset {shown(uri)} could not be fetched in {ATTEMPTS} attempts: "
                    f"{_reason(error)}. Check that the pod reaches that address; then retry."
                ) from error
            pause = 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
            say(f"Fetching failed ({_reason(error)}); again in {pause:.1f} s")
            time.sleep(pause)
    raise AssertionError("unreachable")


def _reason(error: BaseException) -> str:
    """An error in words, without the signatures of the URLs that some put into their text."""
    text = re.sub(r"\w+://[^\s'\"]+", lambda found: shown(found[0]), " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
