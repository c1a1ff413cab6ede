"""What an Application's status says about one wanted revision.

The fields are those that Argo CD documents: `status.sync`, `status.health`, `status.operationState`,
`status.conditions`, `status.reconciledAt`, for single and for multiple sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a wanted revision stands."""

    READY = "ready"  # synced and healthy
    WAITING = "waiting"
    FAILED = "failed"
    CRASHING = "crashing"  # not Argo CD's word: the pods' own
    OTHER = "other"  # Argo CD is at a revision of which it is not known whether it holds the wanted one


@dataclass(frozen=True)
class Verdict:
    """The state, what Argo CD said or is doing, and the revision that it is at."""

    state: State
    message: str
    revision: str = ""


def judge(application: dict[str, Any], accepted: set[str], older: set[str], *, health: bool = True) -> Verdict:
    """Judge an Application.

    Args:
        application: the object as the API gives it.
        accepted: the wanted commit and those known to hold it.
        older: revisions known not to hold it; Argo CD has not looked at git since.
        health: whether its health counts. Else it is ready as soon as it is synced: one that was Degraded before says
            nothing of what a commit has added.
    """
    status = application.get("status") or {}
    at = _first(_revisions(status.get("sync") or {}), accepted)
    if at is None:
        return _elsewhere(status, accepted, older)
    if failure := _failed_sync(status, accepted):
        return Verdict(State.FAILED, failure, at)
    if waiting := _syncing(status, at):
        return waiting
    return _health(status, at) if health else Verdict(State.READY, "synced", at)


def _elsewhere(status: dict[str, Any], accepted: set[str], older: set[str]) -> Verdict:
    """Argo CD compares with another revision than the wanted one."""
    revisions = _revisions(status.get("sync") or {})
    if failure := _failed_sync(status, accepted):
        return Verdict(State.FAILED, failure)
    if errors := _error_conditions(status):
        return Verdict(State.WAITING, f"Argo CD cannot compare with git: {errors}", "")
    unknown = [revision for revision in revisions if revision not in older]
    if not unknown:
        shown = ", ".join(revision[:12] for revision in revisions) or "none"
        return Verdict(State.WAITING, f"Argo CD is still at revision {shown}")
    return Verdict(State.OTHER, f"Argo CD is at revision {unknown[0][:12]}", unknown[0])


def _syncing(status: dict[str, Any], at: str) -> Verdict | None:
    """Argo CD compares with the wanted revision, and no sync of it has failed; None: it has synced it."""
    sync, operation = status.get("sync") or {}, status.get("operationState") or {}
    if sync.get("status") == "Synced" and operation.get("phase") not in ("Running", "Terminating"):
        return None
    why = _text(operation.get("message")) or _error_conditions(status)
    tries = f", try {operation['retryCount'] + 1}" if operation.get("retryCount") else ""
    return Verdict(State.WAITING, f"sync is {sync.get('status', 'Unknown')}{tries}{f': {why}' if why else ''}", at)


def _health(status: dict[str, Any], at: str) -> Verdict:
    """Argo CD has synced the wanted revision."""
    health = status.get("health") or {}
    condition, said = health.get("status", "Unknown"), _text(health.get("message"))
    if not _looked_after_sync(status):
        return Verdict(State.WAITING, "synced; Argo CD has not judged the health since", at)
    if condition == "Healthy":
        return Verdict(State.READY, "synced and healthy", at)
    if condition == "Degraded":
        return Verdict(State.FAILED, said or _unhealthy_resources(status) or "the Application is Degraded", at)
    detail = said or _unhealthy_resources(status)
    return Verdict(State.WAITING, f"synced, health is {condition}{f': {detail}' if detail else ''}", at)


def _looked_after_sync(status: dict[str, Any]) -> bool:
    """Whether the health was judged after the last sync, and so does not belong to what was there before it.

    Both times are RFC 3339 in UTC to the second, so that their texts sort like the times.
    """
    finished = (status.get("operationState") or {}).get("finishedAt") or ""
    judged = status.get("reconciledAt") or ""
    return not finished or not judged or judged >= finished


def _failed_sync(status: dict[str, Any], accepted: set[str]) -> str:
    """Argo CD's message, if the last operation was a sync to an accepted revision and it failed for good."""
    operation = status.get("operationState") or {}
    if operation.get("phase") not in ("Failed", "Error"):
        return ""
    result = operation.get("syncResult") or {}
    asked = (operation.get("operation") or {}).get("sync") or {}
    if _first(_revisions(result) or _revisions(asked), accepted) is None:
        return ""
    broken = [
        f"{item.get('kind')} {item.get('name')}: {_text(item.get('message'))}"
        for item in result.get("resources") or []
        if item.get("status") == "SyncFailed" or item.get("hookPhase") in ("Failed", "Error")
    ]
    return "; ".join([_text(operation.get("message")) or f"the sync ended as {operation['phase']}", *broken])


def _revisions(holder: dict[str, Any]) -> list[str]:
    """`revision` of a single source or `revisions` of multiple ones."""
    return [revision for revision in holder.get("revisions") or [holder.get("revision")] if revision]


def _first(revisions: list[str], wanted: set[str]) -> str | None:
    return next((revision for revision in revisions if revision in wanted), None)


def _error_conditions(status: dict[str, Any]) -> str:
    conditions = status.get("conditions") or []
    errors = [item for item in conditions if str(item.get("type", "")).endswith("Error")]
    return "; ".join(f"{item['type']}: {_text(item.get('message'))}" for item in errors)


def _unhealthy_resources(status: dict[str, Any]) -> str:
    bad = [
        f"{item.get('kind')} {item.get('name')} is {health.get('status')}: {_text(health.get('message'))}"
        for item in status.get("resources") or []
        if (health := item.get("health") or {}).get("status") in ("Degraded", "Progressing", "Suspended", "Missing")
    ]
    return "; ".join(bad)


def _text(message: Any) -> str:
    return " ".join(str(message or "").split())
