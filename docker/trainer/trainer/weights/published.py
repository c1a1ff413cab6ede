"""The weights that Ultralytics publishes: their names, and where they are."""

from __future__ import annotations

import difflib
import inspect

from trainer.errors import InputError


def published_url(name: str, base: str) -> str:
    """The address of published weights.

    Ultralytics is imported: ``runtime.start`` must have run.

    Args:
        name: such as yolo11n.pt.
        base: the folder on the web that has them; empty: the release that the installed Ultralytics downloads from.

    Raises:
        InputError: there are none of that name.
    """
    from ultralytics.utils.checks import check_yolov5u_filename
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, GITHUB_ASSETS_REPO, attempt_download_asset

    file = str(check_yolov5u_filename(name, verbose=False))
    if file not in GITHUB_ASSETS_NAMES:
        weights = sorted(known for known in GITHUB_ASSETS_NAMES if known.endswith(".pt"))
        close = difflib.get_close_matches(name, weights, 3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise InputError(
            f"The weights {name!r} do not exist: there is no such file in the workspace, and Ultralytics publishes "
            f"none of that name.{hint}"
        )
    if not base:
        release = inspect.signature(attempt_download_asset).parameters["release"].default
        base = f"https://github.com/{GITHUB_ASSETS_REPO}/releases/download/{release}"
    return f"{base.rstrip('/')}/{file}"
