"""What the controller keeps of an Application between two rounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.argocd.application.project import Project
from sandbox.argocd.application.spec import AppSpec
from sandbox.argocd.cluster.kube import Manifest
from sandbox.argocd.errors import ArgoError

# How often at most drift of one revision is healed, in seconds.
HEAL_PAUSE = 5.0


@dataclass
class AppState:
    """What an Application's spec and revision come to; kept between ticks."""

    spec: AppSpec | None = None
    project: Project | None = None
    server: str = ""
    revision: str = ""
    desired: list[Manifest] | None = None
    error: ArgoError | None = None
    unreachable: str = ""
    raw_spec: Any = None
    due: float = 0.0
    compared_at: str = ""
    # The operation in hand: what it is for, how many retries it has had, when the next one is due.
    attempted: tuple[str, str] | None = None
    succeeded: bool = False
    retries: int = 0
    retry_at: float = 0.0
    healed_at: float = field(default=-HEAL_PAUSE)
