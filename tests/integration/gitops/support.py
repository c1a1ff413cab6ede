"""Real git repositories, and people and tasks that write to them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.gitops import Bump, GitOps, GitOpsSettings
from lifecycle.model.pin import Pin

FILE = "argocd-apps/sandbox/detector/values.yaml"
PLUGINS = Path(__file__).parents[3] / "plugins"


def values(count: int = 1, version: str = "null") -> str:
    """A values file of so many models, with the comments that people write."""
    entries = "".join(
        f"""\
  - name: m{number}                     # Triton's model name
    registeredModel: m{number}-detector # MLflow's
    version: {version}                  # integer
    sha256: ""                          # of the ONNX file
    runId: ''
    hold: false                         # true: only a person bumps it

"""
        for number in range(count)
    )
    return f"# Bumped by the lifecycle; people edit environment.yaml.\nmodels:\n{entries}# end\n"


def pin(version: int | None) -> Pin:
    return Pin(None, "", "") if version is None else Pin(version, f"{version:064x}", f"{version:032x}")


def bump(version: int | None, model: str = "m0", run: str | None = None, **more: Any) -> Bump:
    """A bump as the DAG makes it; `run` names the DAG run."""
    trailers = {"Dataset-Digest": "d" * 64} | ({"Dag-Run": f"digits/{run}"} if run else {})
    return Bump(
        environment="sandbox",
        app="detector",
        model=model,
        registered_model=f"{model}-detector",
        pin=more.pop("pin", pin(version)),
        trailers=trailers,
        **more,
    )


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@dataclass
class Remote:
    """A bare repository, with a person's clone beside it."""

    path: Path
    person: Path

    @property
    def url(self) -> str:
        return str(self.path)

    def head(self, branch: str = "main") -> str:
        return git(self.path, "rev-parse", branch).strip()

    def text(self, revision: str = "main", file: str = FILE) -> str:
        return git(self.path, "show", f"{revision}:{file}")

    def subjects(self) -> list[str]:
        return git(self.path, "log", "--format=%s", "main").splitlines()

    def message(self, revision: str = "main") -> str:
        return git(self.path, "log", "-1", "--format=%B", revision)

    def write(self, text: str, file: str = FILE, message: str = "A person's edit") -> str:
        """Commit and push as a person does."""
        git(self.person, "fetch", "-q", "origin")
        git(self.person, "reset", "-q", "--hard", "origin/main")
        target = self.person / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        git(self.person, "add", "-A")
        git(self.person, "commit", "-q", "--allow-empty", "-m", message)
        git(self.person, "push", "-q", "origin", "HEAD:main")
        return self.head()

    def hook(self, name: str, script: str) -> None:
        hook = self.path / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

    def gitops(self, **settings: Any) -> GitOps:
        defaults: dict[str, Any] = {"url": self.url, "time_limit": 30.0, "backoff_base": 0.02, "backoff_cap": 0.5}
        return GitOps(GitOpsSettings(**defaults | settings))


def changed_lines(before: str, after: str) -> list[int]:
    old, new = before.splitlines(), after.splitlines()
    assert len(old) == len(new)
    return [number for number, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]


def in_child(work: Callable[[], object]) -> int:
    """Start a process that does the work; returns its pid. It ends with 0 if the work did not raise."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # nothing of pytest may run in the child
    return pid


def wait_for(pids: Iterable[int], seconds: float = 120.0) -> list[int]:
    """The exit codes (negative: the signal) of children, which are killed if they take longer than that."""
    deadline = time.monotonic() + seconds
    codes = []
    for pid in pids:
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        codes.append(os.waitstatus_to_exitcode(ended[1]))
    return codes
