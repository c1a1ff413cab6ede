"""Run one git command: with a time limit over all of its children, and with errors that name no secret."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from git.cmd import Git
from git.exc import GitCommandNotFound

from lifecycle.gitops.errors import LocalFailure, RemoteUnavailable

# Against what is set around the worker: prompts, traces that would log secrets, words in another language.
_NEUTRAL = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_TRACE": "0",
    "GIT_TRACE_CURL": "0",
    "GIT_TRACE_PACKET": "0",
    "GIT_CURL_VERBOSE": "0",
    "GIT_TRACE2": "0",
    "GIT_TRACE2_EVENT": "0",
    "GIT_TRACE2_PERF": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
    "LANG": "C",
}
_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
_AUTHORIZATION = re.compile(r"(?i)((?:proxy-)?authorization:\s*\w+\s+)\S+")


@dataclass(frozen=True)
class GitResult:
    """How a command ended; `err` is already clean of secrets."""

    code: int
    out: bytes
    err: str


class GitRunner:
    """Runs git in one bare repository, with one environment."""

    def __init__(self, git_dir: Path, environment: Mapping[str, str], secrets: Sequence[str] = ()) -> None:
        self._git = Git(str(git_dir))
        # All three: inside a git hook (a test run before a commit, say) they are set, and name the user's repository.
        own = {"GIT_DIR": git_dir, "GIT_INDEX_FILE": git_dir / "index", "GIT_OBJECT_DIRECTORY": git_dir / "objects"}
        self._environment = {**_NEUTRAL, **{name: str(path) for name, path in own.items()}, **environment}
        self._secrets = tuple(secrets)

    def extend(self, environment: Mapping[str, str]) -> None:
        """Add to the environment of all later commands."""
        self._environment.update(environment)

    def scrub(self, text: str) -> str:
        """The text without any secret that is known, and without anything that looks like one."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _AUTHORIZATION.sub(r"\1***", _USERINFO.sub("***@", text))

    def run(self, *arguments: str, stdin: bytes | None = None, timeout: float) -> GitResult:
        """Run `git <arguments>`; a command still running after `timeout` seconds is killed with all its children.

        Raises RemoteUnavailable on the time limit and LocalFailure where git cannot be started.
        """
        try:
            handle = self._git.execute(
                ["git", *arguments],
                as_process=True,
                istream=subprocess.PIPE if stdin is not None else None,
                env=self._environment,
                start_new_session=True,
            )
        except GitCommandNotFound as error:
            raise LocalFailure(
                "git is not installed on this worker, or not on its PATH. Add it to the image."
            ) from error
        except OSError as error:
            raise LocalFailure(f"git could not be started on this worker: {error.strerror}.") from error
        process: subprocess.Popen[bytes] = handle.proc  # type: ignore[assignment]
        try:
            out, err = process.communicate(stdin, timeout=max(timeout, 0.1))
        except subprocess.TimeoutExpired:
            raise RemoteUnavailable(
                f"git {' '.join(arguments[:3])} … did not end within {timeout:.0f} s; the remote is slow or "
                "unreachable."
            ) from None
        finally:
            _end(process)
        return GitResult(process.returncode, out, self.scrub(err.decode(errors="replace").strip()))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no child behind, whatever interrupted us (a task's own time limit, a stop from the UI)."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
