"""Which virtual environment stands for which container image: sandbox/images.yaml."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SYSTEM_PATH = ["/usr/local/bin", "/usr/bin", "/bin"]
_FIELDS = {"venv", "path", "workdir", "command", "args", "env", "stopSignal"}


class ImageError(Exception):
    """The image has no environment here; the message says what to add or build."""


@dataclass(frozen=True)
class Image:
    """What a container gets from its image."""

    venv: Path | None
    path: list[Path] = field(default_factory=list)
    workdir: Path | None = None
    command: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM

    def environment(self) -> dict[str, str]:
        """PATH and the image's own variables."""
        folders = [*map(str, self.path), *([str(self.venv / "bin")] if self.venv else []), *SYSTEM_PATH]
        env = {"PATH": os.pathsep.join(folders)}
        if self.venv:
            env["VIRTUAL_ENV"] = str(self.venv)
        return env | self.env


def repository_name(reference: str) -> str:
    """The last component of an image's name, without tag and digest: ``ghcr.io/a/b:1@sha256:…`` → ``b``."""
    return re.split("[:@]", reference.rpartition("/")[2])[0]


class Images:
    """The images file. It is read again for every container, so that an entry can be added while pods wait for it."""

    def __init__(self, file: Path, repository: Path, home: Path) -> None:
        self.file = file
        self.repository = repository
        self.home = home

    def load(self) -> dict[str, Image]:
        """Every image by repository name. Raises ImageError when the file is not what it should be."""
        try:
            document = yaml.safe_load(self.file.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise ImageError(f"cannot read {self.file}: {error}") from error
        entries = document.get("images") if isinstance(document, dict) else None
        if not isinstance(entries, dict):
            raise ImageError(f"{self.file} must hold a mapping `images`")
        return {name: self._image(name, entry) for name, entry in entries.items()}

    def find(self, reference: str) -> Image:
        """The image of a container. Raises ImageError when there is none, or its environment is not built."""
        images = self.load()
        name = repository_name(reference)
        if name not in images:
            known = ", ".join(sorted(images)) or "none"
            raise ImageError(
                f"no image {name!r} in {self.file} (it has: {known}); add an entry that names its virtual environment"
            )
        image = images[name]
        missing = [p for p in (image.venv, image.workdir, *image.path) if p is not None and not p.is_dir()]
        if missing:
            raise ImageError(
                f"the image {name!r} of {self.file} needs {missing[0]}, which does not exist; `make up` builds the "
                "environments of all images"
            )
        return image

    def _image(self, name: str, entry: Any) -> Image:
        if not isinstance(entry, dict) or set(entry) - _FIELDS:
            raise ImageError(f"the entry {name!r} of {self.file} may have only the fields {', '.join(sorted(_FIELDS))}")
        stop_signal = entry.get("stopSignal", "SIGTERM")
        if stop_signal not in signal.Signals.__members__:
            raise ImageError(
                f"the entry {name!r} of {self.file} has the stopSignal {stop_signal!r}, which is no signal"
            )
        return Image(
            venv=self._folder(entry["venv"]) if entry.get("venv") else None,
            path=[self._folder(text) for text in entry.get("path", [])],
            workdir=self._folder(entry["workdir"]) if entry.get("workdir") else None,
            command=[self._expand(text) for text in entry.get("command", [])],
            args=[self._expand(text) for text in entry.get("args", [])],
            env={key: self._expand(str(text)) for key, text in entry.get("env", {}).items()},
            stop_signal=signal.Signals[stop_signal],
        )

    def _expand(self, text: str) -> str:
        return text.replace("${SANDBOX_HOME}", str(self.home)).replace("${REPOSITORY}", str(self.repository))

    def _folder(self, text: str) -> Path:
        return self.repository / self._expand(text)
