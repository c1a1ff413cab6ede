"""An Application's status, in the fields that Argo CD documents."""

from __future__ import annotations

from sandbox.argocd import clock
from sandbox.argocd.application.state import AppState
from sandbox.argocd.cluster import objects
from sandbox.argocd.cluster.health import Health
from sandbox.argocd.cluster.kube import Manifest
from sandbox.argocd.cluster.objects import ManagedObject


def compose(
    app: Manifest, state: AppState, items: list[ManagedObject], before: Manifest, operation: Manifest | None
) -> Manifest:
    """The whole of ``status``; ``before`` is the former one, ``operation`` the operation's state if it has changed."""
    status = dict(before)
    status["reconciledAt"] = state.compared_at
    status["controllerNamespace"] = app["metadata"]["namespace"]
    # Argo CD 3: no health at each resource, no message at the Application's own.
    status["resourceHealthSource"] = "appTree"
    status["conditions"] = _conditions(app, state, items, before.get("conditions") or [])
    spec = app.get("spec") or {}
    compared = {key: spec[key] for key in ("source", "destination") if key in spec}
    if state.desired is None:
        # What was known stays, except that nobody can say whether it is still what Git wants.
        status["sync"] = {**(before.get("sync") or {}), "status": "Unknown", "comparedTo": compared}
        invalid = state.error is not None and state.error.condition == "InvalidSpecError"
        health = Health("Unknown") if invalid else None
        status.setdefault("health", {"status": "Unknown"})
    else:
        synced = all(item.synced or item.extraneous for item in items)
        status["sync"] = {
            "status": "Synced" if synced else "OutOfSync",
            "revision": state.revision,
            "comparedTo": compared,
        }
        status["resources"] = [item.entry() for item in sorted(items, key=lambda item: item.order)]
        status["summary"] = {"images": objects.images(items)}
        status["sourceType"] = "Helm" if "helm" in spec["source"] else "Directory"
        health = objects.health_of_all(items)
    if health is not None:
        status["health"] = _transition(before.get("health") or {}, {"status": health.status})
    if operation is not None:
        status["operationState"] = operation
        if operation["phase"] == "Succeeded":
            status["history"] = _history(before.get("history") or [], operation, state)
    return status


def _transition(before: Manifest, after: Manifest) -> Manifest:
    changed = before.get("status") != after["status"]
    return {**after, "lastTransitionTime": clock.now() if changed else before.get("lastTransitionTime", clock.now())}


def _conditions(app: Manifest, state: AppState, items: list[ManagedObject], before: list[Manifest]) -> list[Manifest]:
    found: list[tuple[str, str]] = []
    if state.error is not None:
        found.append((state.error.condition, str(state.error)))
    if state.unreachable:
        found.append(("ComparisonError", f"{state.unreachable} What was fetched before is still compared."))
    name = app["metadata"]["name"]
    for item in items:
        other = objects.tracked_by(item.live) if item.live else ""
        if other not in ("", name):
            found.append(("SharedResourceWarning", f"{item.resource.kind}/{item.name} is also managed by {other}"))
    if state.desired == [] and any(item.prune for item in items) and state.spec and not state.spec.allow_empty:
        found.append(
            ("SyncError", "auto-sync would remove all resources; set syncPolicy.automated.allowEmpty to allow it")
        )
    times = {(c["type"], c["message"]): c.get("lastTransitionTime") for c in before}
    return [
        {"type": kind, "message": text, "lastTransitionTime": times.get((kind, text)) or clock.now()}
        for kind, text in found
    ]


def _history(before: list[Manifest], operation: Manifest, state: AppState) -> list[Manifest]:
    assert state.spec is not None
    entry = {
        "id": before[-1]["id"] + 1 if before else 0,
        "revision": state.revision,
        "source": state.spec.source,
        "deployStartedAt": operation["startedAt"],
        "deployedAt": operation["finishedAt"],
        "initiatedBy": {"automated": True},
    }
    return [*before, entry][-state.spec.history :] if state.spec.history > 0 else []
