"""The workspace: the one place that commands write to, besides the folder for temporary files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from trainer.errors import InputError


def require_writable(workspace: Path) -> None:
    """Make the workspace's folder, if it is missing.

    Raises:
        InputError: the pod's user cannot write there, which a retry cannot help.
    """
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=workspace).close()
    except PermissionError as error:
        raise InputError(
            f"The workspace {workspace} cannot be written by the pod's user: {error}. Give the volume the pod's "
            "fsGroup (1000), or make the folder writable for that group."
        ) from error
