"""An Application's status, in the fields that Argo CD documents."""

from __future__ import annotations

from . import clock, state
from .health import Health, worst
from .kube import Manifest
from .loaded import Loaded
from .state import Item


def compose(app: Manifest, loaded: Loaded, items: list[Item], before: Manifest, operation: Manifest | None) -> Manifest:
    """The whole of ``status``; ``before`` is the former one, ``operation`` the operation's state if it has changed."""
    status = dict(before)
    status["reconciledAt"] = loaded.compared_at
    status["controllerNamespace"] = app["metadata"]["namespace"]
    status["conditions"] = _conditions(app, loaded, items, before.get("conditions") or [])
    spec = app.get("spec") or {}
    compared = {key: spec[key] for key in ("source", "destination") if key in spec}
    if loaded.desired is None:
        # What was known stays, except that nobody can say whether it is still what Git wants.
        status["sync"] = {**(before.get("sync") or {}), "status": "Unknown", "comparedTo": compared}
        invalid = loaded.error is not None and loaded.error.condition == "InvalidSpecError"
        health = Health("Unknown") if invalid else None
        status.setdefault("health", {"status": "Unknown"})
    else:
        synced = all(item.synced for item in items)
        status["sync"] = {
            "status": "Synced" if synced else "OutOfSync",
            "revision": loaded.revision,
            "comparedTo": compared,
        }
        status["resources"] = [item.entry() for item in sorted(items, key=lambda item: item.order)]
        status["summary"] = {"images": state.images(items)}
        status["sourceType"] = "Helm" if "helm" in spec["source"] else "Directory"
        health = _overall(items)
    if health is not None:
        status["health"] = _transition(before.get("health") or {}, health.as_dict())
    if operation is not None:
        status["operationState"] = operation
        if operation["phase"] == "Succeeded":
            status["history"] = _history(before.get("history") or [], operation, loaded)
    return status


def _overall(items: list[Item]) -> Health:
    found = [(item, item.health) for item in items if not item.prune and item.health is not None]
    health = worst([each for _, each in found])
    item = next((item for item, each in found if each == health), None)
    if item is None or not health.message:
        return health
    return Health(health.status, f"{item.resource.kind} {item.name}: {health.message}")


def _transition(before: Manifest, after: Manifest) -> Manifest:
    changed = before.get("status") != after["status"]
    return {**after, "lastTransitionTime": clock.now() if changed else before.get("lastTransitionTime", clock.now())}


def _conditions(app: Manifest, loaded: Loaded, items: list[Item], before: list[Manifest]) -> list[Manifest]:
    found: list[tuple[str, str]] = []
    if loaded.error is not None:
        found.append((loaded.error.condition, str(loaded.error)))
    if loaded.unreachable:
        found.append(("ComparisonError", f"{loaded.unreachable} What was fetched before is still compared."))
    name = app["metadata"]["name"]
    for item in items:
        other = state.tracked_by(item.live) if item.live else ""
        if other not in ("", name):
            found.append(("SharedResourceWarning", f"{item.resource.kind}/{item.name} is also managed by {other}"))
    if loaded.desired == [] and any(item.prune for item in items) and loaded.spec and not loaded.spec.allow_empty:
        found.append(
            ("SyncError", "auto-sync would remove all resources; set syncPolicy.automated.allowEmpty to allow it")
        )
    times = {(c["type"], c["message"]): c.get("lastTransitionTime") for c in before}
    return [
        {"type": kind, "message": text, "lastTransitionTime": times.get((kind, text)) or clock.now()}
        for kind, text in found
    ]


def _history(before: list[Manifest], operation: Manifest, loaded: Loaded) -> list[Manifest]:
    assert loaded.spec is not None
    entry = {
        "id": before[-1]["id"] + 1 if before else 0,
        "revision": loaded.revision,
        "source": loaded.spec.source,
        "deployStartedAt": operation["startedAt"],
        "deployedAt": operation["finishedAt"],
        "initiatedBy": {"automated": True},
    }
    return [*before, entry][-loaded.spec.history :] if loaded.spec.history > 0 else []
