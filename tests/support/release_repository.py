"""A release repository of one model in two environments, and commits to it as a person would make them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

FILE = "argocd-apps/staging/detector/values.yaml"
PRODUCTION = "argocd-apps/production/detector/values.yaml"
CODE = "model_repository/yolo/1/model.py"
VALUES = """\
models:
  - name: digits  # Triton's name
    registeredModel: {model}
    version: null
    sha256: ""
    runId: ""
    codeCommit: ""
    hold: false
"""


class Repository:
    """A bare repository with serving code and a values file for each environment, and a person's commits to it.

    `code` is the commit of the code at first.
    """

    def __init__(self, folder: Path, registered_model: str) -> None:
        self.bare, self.work = folder / "release.git", folder / "work"
        git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git("clone", "--quiet", str(self.bare), str(self.work))
        self.code = self.write("# the first code\n", CODE)
        for file in (PRODUCTION, FILE):
            self.write(VALUES.format(model=registered_model), file)

    @property
    def tip(self) -> str:
        # Asked ten times a second, by a large process: git would be a tenth of what a test costs.
        branch = self.bare / "refs" / "heads" / "main"
        return branch.read_text().strip() if branch.exists() else git("-C", str(self.bare), "rev-parse", "main")

    def text(self, commit: str = "main", path: str = FILE) -> str:
        return git("-C", str(self.bare), "show", f"{commit}:{path}") + "\n"

    def message(self, commit: str = "main") -> str:
        return git("-C", str(self.bare), "show", "-s", "--format=%B", commit)

    def pin(self, path: str = FILE) -> dict[str, Any]:
        """The entry of the only model of an environment."""
        entry: dict[str, Any] = yaml.safe_load(self.text(path=path))["models"][0]
        return entry

    def write(self, text: str, path: str = FILE) -> str:
        """Commit and push a file; return the commit."""
        work = str(self.work)
        git("-C", work, "pull", "--quiet", "--rebase", "origin", "main", check=False)
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        git("-C", work, "add", path)
        identity = ("-c", "user.name=A Person", "-c", "user.email=person@example.com")
        git("-C", work, *identity, "commit", "--quiet", "-m", f"Edit {path}")
        git("-C", work, "push", "--quiet", "origin", "HEAD:main")
        return self.tip


def git(*arguments: str, check: bool = True) -> str:
    return subprocess.run(["git", *arguments], check=check, capture_output=True, text=True).stdout.strip()
