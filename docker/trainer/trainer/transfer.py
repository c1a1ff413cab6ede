"""Fetches files over http(s):// and s3:// (fsspec), with retries where they help, and no secret in what it says."""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from trainer.errors import InputError, TrainerError
from trainer.packages import what_to_install
from trainer.progress import say
from trainer.workspace import FULL

REMOTE = ("http", "https", "s3")
ATTEMPTS = 4
SILENCE = 15.0  # seconds without a connection or a byte
# What the workspace answers, not the network.
UNWRITABLE = FULL | {errno.EROFS}

# How files begin that came in the place of what was asked for.
STAND_INS = {
    b"<": "a web page (does the address need a password, or lead to a page about the file?)",
    b"version https://git-lfs": "a pointer of Git LFS, whose file was not fetched",
}

T = TypeVar("T")


def shown(uri: str) -> str:
    """The URI without its query and credentials, which may carry a signature: for messages and for MLflow."""
    parts = urlsplit(uri)
    if parts.scheme not in REMOTE:
        return uri
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def open_store(uri: str) -> tuple[Any, str]:
    """The fsspec filesystem of a remote URI, and the URI's path in it."""
    import fsspec

    if urlsplit(uri).scheme == "s3":
        return fsspec.core.url_to_fs(uri)
    from aiohttp import ClientTimeout

    # By default aiohttp ends any download after 5 minutes, and ignores HTTPS_PROXY.
    limits = ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    return fsspec.core.url_to_fs(uri, client_kwargs={"timeout": limits, "trust_env": True})


def download(filesystem: Any, path: str, target: Path) -> None:
    """One file. (Opening it instead would report every failure of a web server as a file that is not there.)"""
    from fsspec.callbacks import Callback

    said = time.monotonic()

    def tell(size: int | None, value: int, **_: Any) -> None:
        nonlocal said
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say(f"Fetched {value / 1e6:.0f} MB" + (f" of {size / 1e6:.0f}" if size else ""))

    filesystem.get_file(path, str(target), callback=Callback(hooks={"tell": tell}))


def with_retries(what: str, uri: str, action: Callable[[], T]) -> T:
    """Do it, again after 1, 2 and 4 s (with jitter) where the network failed, not where the answer is no.

    Args:
        what: is fetched ("dataset", "weights"), for messages.
        uri: of it.
        action: the fetching.

    Raises:
        InputError: there is nothing, the pod may not read it, or the image lacks what reads it.
        TrainerError: the network or the store failed, four times; or the workspace is full.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except TrainerError:
            raise
        except ImportError as error:
            raise InputError(f"The {what} {shown(uri)} cannot be read. {what_to_install(error)}") from error
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(
                f"The {what} {shown(uri)} cannot be read: {_reason(error)}. Check the address, and the "
                "credentials that the pod has."
            ) from error
        except Exception as error:  # what fails underneath differs by protocol: aiohttp, botocore, OSError
            status = getattr(error, "status", None)
            if isinstance(status, int) and 400 <= status < 500 and status not in {408, 429}:
                raise InputError(
                    f"The {what} {shown(uri)} cannot be read: HTTP {status}. Check the address, and the "
                    "credentials that the pod has."
                ) from error
            if getattr(error, "errno", None) in UNWRITABLE:
                raise TrainerError(
                    f"The {what} {shown(uri)} cannot be stored: {_reason(error)}. Make room in the workspace; then "
                    "retry."
                ) from error
            if attempt == ATTEMPTS:
                raise TrainerError(
                    f"The {what} {shown(uri)} could not be fetched in {ATTEMPTS} attempts: "
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
