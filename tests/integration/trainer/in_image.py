"""Commands of the trainer as its image runs them: as user 1000, in a working directory that this user cannot write.

Started as a program, this file is such a process: it reads commands as lines of JSON and runs each in itself, since
importing torch again for each would take longer than all the trainings of a test.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))

from pods import TRAINER, Result, as_found

USER = 1000


class Image:
    """One process of user 1000."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Start it.

        Args:
            folder: that every user can enter. In it ``app`` becomes the working directory, and ``tmp`` takes temporary
                files; ``workspace`` is the volume.
            environment: variables of the pod.
        """
        self.app, self.tmp, self.workspace = (folder / name for name in ("app", "tmp", "workspace"))
        for path in (self.app, self.tmp, self.workspace):
            path.mkdir()
        for path in (self.tmp, self.workspace):
            os.chown(path, USER, USER)
        self._process = subprocess.Popen(
            [*as_user(), sys.executable, str(Path(__file__).resolve())],
            cwd=self.app,
            # As the Dockerfile sets them.
            env=os.environ
            | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{TRAINER}:{os.environ.get('PYTHONPATH', '')}"}
            | {"USER": "trainer", "HOME": str(self.tmp), "TMPDIR": str(self.tmp)}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: list[str], **environment: str) -> Result:
        """Run one command to its end."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([arguments, environment]) + "\n")
        self._process.stdin.flush()
        return Result(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def as_user() -> list[str]:
    """The words before a command that make it user 1000's. Skips the test where this process may not become that."""
    import pytest  # the process in the image does without

    if os.geteuid() != 0:
        pytest.skip("only root can become user 1000")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is missing")
    words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    if subprocess.run([*words, sys.executable, "-c", f"open({__file__!r})"], check=False).returncode:
        pytest.skip("user 1000 may not read this checkout or its environments")
    return words


def _serve() -> None:
    from trainer.__main__ import main

    # What a library prints must not be taken for a result.
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        arguments, environment = json.loads(line)
        out, err = io.StringIO(), io.StringIO()
        with as_found(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            os.environ.update(environment)
            status = main(arguments)
        results.write(json.dumps([status, out.getvalue(), err.getvalue()]) + "\n")
        results.flush()


if __name__ == "__main__":
    _serve()
