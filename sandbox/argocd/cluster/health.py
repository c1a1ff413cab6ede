"""Health of objects by Argo CD's rules, and of an Application: that of its worst object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.argocd.cluster.kube import Manifest

# From best to worst.
ORDER = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")


@dataclass(frozen=True)
class Health:
    """A health status and why."""

    status: str
    message: str = ""

    def as_dict(self) -> dict[str, str]:
        """As a status field holds it."""
        return {"status": self.status, **({"message": self.message} if self.message else {})}


HEALTHY = Health("Healthy")


def worst(healths: list[Health]) -> Health:
    """The worst of them; nothing at all is healthy."""
    return max(healths, key=lambda health: ORDER.index(health.status), default=HEALTHY)


def of(manifest: Manifest) -> Health | None:
    """The health of a live object; None for kinds that have no health."""
    group = manifest["apiVersion"].rpartition("/")[0]
    check = CHECKS.get((group, manifest["kind"]))
    if check is None:
        return None
    if manifest["metadata"].get("deletionTimestamp"):
        return Health("Progressing", "Pending deletion")
    return check(manifest)


def has_check(manifest: Manifest) -> bool:
    """Whether objects of this kind have a health, so that a missing one counts."""
    return (manifest["apiVersion"].rpartition("/")[0], manifest["kind"]) in CHECKS


def _condition(status: Manifest, kind: str) -> dict[str, Any]:
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), {})


def _deployment(manifest: Manifest) -> Health:
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    name = manifest["metadata"]["name"]
    if spec.get("paused"):
        return Health("Suspended", "Deployment is paused")
    if manifest["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return Health(
            "Progressing", "Waiting for rollout to finish: observed deployment generation less than desired generation"
        )
    if _condition(status, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return Health("Degraded", f'Deployment "{name}" exceeded its progress deadline')
    wanted, replicas = spec.get("replicas", 1), status.get("replicas", 0)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    prefix = "Waiting for rollout to finish:"
    if updated < wanted:
        return Health("Progressing", f"{prefix} {updated} out of {wanted} new replicas have been updated...")
    if replicas > updated:
        return Health("Progressing", f"{prefix} {replicas - updated} old replicas are pending termination...")
    if available < updated:
        return Health("Progressing", f"{prefix} {available} of {updated} updated replicas are available...")
    return HEALTHY


def _service(manifest: Manifest) -> Health:
    if (manifest.get("spec") or {}).get("type") != "LoadBalancer":
        return HEALTHY
    ingress = ((manifest.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return HEALTHY if ingress else Health("Progressing")


def _claim(manifest: Manifest) -> Health:
    phase = (manifest.get("status") or {}).get("phase", "")
    return {"Bound": HEALTHY, "Lost": Health("Degraded"), "Pending": Health("Progressing")}.get(
        phase, Health("Unknown")
    )


def _pod(manifest: Manifest) -> Health:
    status = manifest.get("status") or {}
    waiting = [
        (container.get("state") or {}).get("waiting") or {}
        for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or [])
    ]
    for state in waiting:
        reason = state.get("reason", "")
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            return Health("Degraded", state.get("message", reason))
    phase = status.get("phase", "")
    if phase == "Failed":
        return Health("Degraded", status.get("message", "the pod failed"))
    if phase == "Succeeded":
        return HEALTHY
    if phase == "Running":
        ready = _condition(status, "Ready").get("status") == "True"
        return HEALTHY if ready else Health("Progressing")
    return Health("Progressing" if phase == "Pending" else "Unknown", status.get("message", ""))


def _replica_set(manifest: Manifest) -> Health:
    spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
    if manifest["metadata"].get("generation", 0) > status.get("observedGeneration", 0):
        return Health("Progressing", "Waiting for rollout to finish: observed replica set generation less than desired")
    failure = _condition(status, "ReplicaFailure")
    if failure.get("status") == "True":
        return Health("Degraded", failure.get("message", ""))
    available, wanted = status.get("availableReplicas", 0), spec.get("replicas", 1)
    if available < wanted:
        return Health(
            "Progressing", f"Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        )
    return HEALTHY


def _application_set(manifest: Manifest) -> Health:
    status = manifest.get("status") or {}
    failed = _condition(status, "ErrorOccurred")
    if failed.get("status") == "True":
        return Health("Degraded", failed.get("message", ""))
    done = _condition(status, "ResourcesUpToDate")
    if done.get("status") == "True":
        return Health("Healthy", done.get("message", ""))
    return Health("Progressing", done.get("message", "Waiting for the status to be reported"))


CHECKS: dict[tuple[str, str], Callable[[Manifest], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Pod"): _pod,
    ("argoproj.io", "ApplicationSet"): _application_set,
}
