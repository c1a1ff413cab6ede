"""What can be trained: a folder a task, whose module ``task`` has a ``TASK``. Nothing else knows a task by its name.

``task.Task`` says what a task has to bring; `docs/tasks.md` how one is added.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.tasks.task import Task

DEFAULT = "detect"


def names() -> list[str]:
    """The tasks that there are."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/task.py"))


def find(name: str) -> Task:
    """A task by its name, one of ``names``. Neither torch nor Ultralytics is imported for it."""
    task: Task = importlib.import_module(f"trainer.tasks.{name}.task").TASK
    return task
