"""The workspace: the one place that commands write to, besides the folder for temporary files."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from trainer.errors import InputError

# What a file system answers that has no room, or whose owner has used up a quota.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


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
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        raise InputError(
            f"The workspace {workspace} is mounted to be read only. Mount the claim without readOnly, and look whether "
            "its storage has made itself read only after an error."
        ) from error
