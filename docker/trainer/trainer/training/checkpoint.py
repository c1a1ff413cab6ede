"""Checkpoints that survive a kill: each file is replaced whole, where Ultralytics writes over its own in place."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

FILES = {"best.pt": "weights/best.pt", "results.csv": "results.csv", "last.pt": "weights/last.pt"}


@dataclass(frozen=True)
class State:
    """How far the training was when the checkpoint was made."""

    epoch: int
    finished: bool


class Checkpoint:
    """The saved copies of one training's files, in ``folder``; the files themselves are in ``training``."""

    def __init__(self, folder: Path, training: Path) -> None:
        self.folder = folder
        self.training = training
        self._best_seen: tuple[int, int] | None = None

    @property
    def last(self) -> Path:
        """The weights and optimiser state that a training goes on from."""
        return self.folder / "last.pt"

    def save(self, epoch: int, finished: bool) -> None:
        """Copy what Ultralytics has just written. The state comes last: it says that all the others are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, place in FILES.items():
            source = self.training / place
            if not source.exists():
                continue
            stamp = (source.stat().st_mtime_ns, source.stat().st_size)
            if name == "best.pt" and stamp == self._best_seen:
                continue
            scratch = self.folder / f"{name}.part"
            shutil.copyfile(source, scratch)
            scratch.replace(self.folder / name)
            if name == "best.pt":
                self._best_seen = stamp
        scratch = self.folder / "state.json.part"
        scratch.write_text(json.dumps({"epoch": epoch, "finished": finished}))
        scratch.replace(self.folder / "state.json")

    def state(self) -> State | None:
        """How far it is, or None where nothing has been saved."""
        try:
            return State(**json.loads((self.folder / "state.json").read_text()))
        except FileNotFoundError:
            return None

    def restore(self) -> None:
        """Put the copies where Ultralytics expects them; what was being written when the pod died is overwritten."""
        for name, place in FILES.items():
            if (self.folder / name).exists():
                (self.training / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.folder / name, self.training / place)
