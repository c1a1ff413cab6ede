"""What an Application asks for, checked: anything that the stand-in would ignore is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.argocd import clock
from sandbox.argocd.cluster import ignored
from sandbox.argocd.cluster.kube import Manifest
from sandbox.argocd.errors import UnsupportedError, only
from sandbox.argocd.render import source

SYNC_OPTIONS = {"CreateNamespace", "ServerSideApply", "PruneLast", "RespectIgnoreDifferences", "Validate"}


@dataclass(frozen=True)
class Retry:
    """How often and how soon a failed sync is tried again. ``limit`` below 0: without end."""

    limit: int = 0
    first: float = 5.0
    factor: float = 2.0
    most: float = 180.0

    def delay(self, attempt: int) -> float:
        """Seconds to wait before the attempt (from 1)."""
        return min(self.first * self.factor ** (attempt - 1), self.most)


@dataclass(frozen=True)
class AppSpec:
    """The parts of ``spec`` that matter, with Argo CD's defaults."""

    project: str
    source: Manifest
    destination: Manifest
    automated: bool = False
    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False
    options: dict[str, str] = field(default_factory=dict)
    retry: Retry = Retry()
    history: int = 10
    ignored: tuple[ignored.Ignored, ...] = ()

    @property
    def key(self) -> str:
        """Changes whenever something changes that a sync depends on."""
        text = json.dumps([self.project, self.source, self.destination, self.options], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def create_namespace(self) -> bool:
        """Whether a sync makes the destination's namespace."""
        return self.options.get("CreateNamespace") == "true"


def parse(app: Manifest) -> AppSpec:
    """Read an Application's spec.

    Raises:
        UnsupportedError: it has a field or an option that the stand-in does not carry out.
    """
    if app.get("operation"):
        raise UnsupportedError(
            "Operations that a person asks for are not supported: the source is synced automatically."
        )
    fields = {"project", "source", "destination", "syncPolicy", "revisionHistoryLimit", "info", "ignoreDifferences"}
    spec: Any = only(app.get("spec"), fields, "spec")
    source.check(spec.get("source") or {})
    only(spec.get("destination"), {"server", "name", "namespace"}, "spec.destination")
    policy: Any = only(spec.get("syncPolicy"), {"automated", "syncOptions", "retry"}, "spec.syncPolicy")
    given = policy.get("automated")
    automated: Any = only(given, {"prune", "selfHeal", "allowEmpty", "enabled"}, "spec.syncPolicy.automated")
    options = _options(policy.get("syncOptions") or [])
    return AppSpec(
        project=spec.get("project") or "default",
        source=spec["source"],
        destination=spec.get("destination") or {},
        automated=given is not None and automated.get("enabled") is not False,
        prune=bool(automated.get("prune")),
        self_heal=bool(automated.get("selfHeal")),
        allow_empty=bool(automated.get("allowEmpty")),
        options=options,
        retry=_retry(policy.get("retry")),
        history=spec.get("revisionHistoryLimit", 10),
        ignored=ignored.parse(spec.get("ignoreDifferences") or [], options),
    )


def _options(entries: list[str]) -> dict[str, str]:
    options = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    for name in options:
        if name not in SYNC_OPTIONS:
            raise UnsupportedError(
                f"The sync option {name} is not supported by the sandbox's stand-in for Argo CD"
                f" (it knows: {', '.join(sorted(SYNC_OPTIONS))})."
            )
    return options


def _retry(given: Manifest | None) -> Retry:
    retry: Any = only(given, {"limit", "backoff", "refresh"}, "spec.syncPolicy.retry")
    backoff: Any = only(retry.get("backoff"), {"duration", "factor", "maxDuration"}, "spec.syncPolicy.retry.backoff")
    if given is None:
        return Retry()
    return Retry(
        limit=int(retry.get("limit", 5)),
        first=clock.seconds(backoff.get("duration", "5s")),
        factor=float(backoff.get("factor", 2)),
        most=clock.seconds(backoff.get("maxDuration", "3m")),
    )
