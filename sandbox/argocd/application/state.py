"""What the controller keeps of an Application between two rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import ArgoError
from .kube import Manifest
from .project import Project
from .spec import AppSpec

# How often at most drift of one revision is healed, in seconds.
HEAL_PAUSE = 5.0


@dataclass
class Loaded:
    """What an Application's spec and revision come to; kept between ticks."""

    spec: AppSpec | None = None
    project: Project | None = None
    server: str = ""
    revision: str = ""
    desired: list[Manifest] | None = None
    error: ArgoError | None = None
    unreachable: str = ""
    given: Any = None
    due: float = 0.0
    compared_at: str = ""
    # The operation in hand: what it is for, how many retries it has had, when the next one is due.
    attempted: tuple[str, str] | None = None
    succeeded: bool = False
    retries: int = 0
    again: float = 0.0
    healed: float = field(default=-HEAL_PAUSE)
