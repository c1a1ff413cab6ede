"""The files below a dataset's root. Each folder is read once; links to folders are followed while they stay inside."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trainer.datasets.accents import composed
from trainer.datasets.model import IMAGE_SUFFIXES
from trainer.datasets.problems import Problems

# Archives made on a Mac have a shadow of every file in this folder.
SHADOWS = "__MACOSX"


@dataclass
class Folder:
    """One folder: names of its files and of its folders, without hidden ones."""

    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    @cached_property
    def texts(self) -> dict[str, str]:
        """Its .txt files (or .TXT), by their name without the suffix."""
        return {name[:-4]: name for name in sorted(self.files, key=lambda name: name.endswith(".txt")) if is_text(name)}

    def text_of(self, stem: str) -> str | None:
        """The .txt file of an image's name without its suffix, however each of the two writes an accent."""
        if stem in self.texts or stem.isascii():
            return self.texts.get(stem)
        names = (f"{composed(stem)}{suffix}" for suffix in (".txt", ".TXT"))
        return next((self.by_composed[name] for name in names if name in self.by_composed), None)

    @cached_property
    def by_composed(self) -> dict[str, str]:
        """Its files and folders, by their names with each accent and its letter in one."""
        return {composed(name): name for name in (*self.folders, *self.files)}

    @cached_property
    def images(self) -> dict[str, str]:
        """Its images, by their name without the suffix."""
        return {name.rpartition(".")[0]: name for name in sorted(self.files, reverse=True) if is_image(name)}


class Folders:
    """The folders below ``root``; paths are relative to it, with ``/``, and "" is itself."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self._problems = problems
        self._real = os.path.realpath(root)
        self._read: dict[str, Folder] = {}

    def read(self, path: str) -> Folder:
        """What is in a folder; nothing where there is none."""
        if path not in self._read:
            self._read[path] = self._scan(path)
        return self._read[path]

    def actual(self, path: str) -> str:
        """A path as the folders have it, where they write an accent in another way than the path does."""
        if path.isascii() or (self.root / path).exists():
            return path
        found = ""
        for part in path.split("/"):
            found = join(found, self.read(found).by_composed.get(composed(part), part))
        return found

    def below(self, path: str) -> list[str]:
        """All the files in a folder and below it, sorted."""
        found: list[str] = []
        # With the folders around each, as device and inode: a link to one of them leads around for ever.
        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(path, frozenset())]
        while waiting:
            current, around = waiting.pop()
            folder = self.read(current)
            found += [join(current, name) for name in folder.files]
            if folder.folders:
                status = (self.root / current).stat()
                here = (status.st_dev, status.st_ino)
                if here not in around:
                    waiting += [(join(current, name), around | {here}) for name in folder.folders]
        return sorted(found)

    def images(self, path: str = "") -> list[str]:
        """All the images in a folder and below it, sorted."""
        return [key for key in self.below(path) if is_image(key)]

    def _scan(self, path: str) -> Folder:
        folder = Folder()
        try:
            entries = os.scandir(self.root / path)
        except (FileNotFoundError, NotADirectoryError):
            return folder
        with entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == SHADOWS:
                    continue
                if entry.is_dir():
                    if not entry.is_symlink() or self._may_follow(entry):
                        folder.folders.append(entry.name)
                elif entry.is_file():
                    folder.files.append(entry.name)
                elif entry.is_symlink() and is_image(entry.name):
                    self._problems.add("missing images", f"{join(path, entry.name)} (a link to nowhere)")
        return folder

    def _may_follow(self, entry: os.DirEntry[str]) -> bool:
        """Whether a link leads to a folder inside of the root."""
        if (os.path.realpath(entry.path) + os.sep).startswith(self._real + os.sep):
            return True
        shown = Path(os.path.relpath(entry.path, self.root)).as_posix()
        self._problems.add(
            "folders that are links out of the dataset's folder and are not followed (put the files themselves there)",
            shown,
        )
        return False


def join(folder: str, name: str) -> str:
    """A path relative to the root, of a folder's and a name."""
    return f"{folder}/{name}" if folder else name


def is_image(name: str) -> bool:
    """Whether a file's name is one of an image that is read."""
    return suffix(name) in IMAGE_SUFFIXES


def suffix(name: str) -> str:
    """The suffix of a file's name, in lower case: ".jpg"; "" where there is none."""
    stem, dot, end = name.rpartition(".")
    return f".{end.lower()}" if dot and stem else ""


def is_text(name: str) -> bool:
    """Whether a file's name may be one of a label file."""
    return name[-4:].lower() == ".txt"
