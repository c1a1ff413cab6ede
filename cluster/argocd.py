"""What is asked of Argo CD by its objects: look at Git now, end a sync that hangs, delete with all that was made."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from cluster.errors import ClusterError, KubectlError
from cluster.kubectl import Kubectl, Object

NAMESPACE = "argocd"
APPLICATIONS = "applications.argoproj.io"
APPLICATION_SET = ("applicationset.argoproj.io", "model-servers")
FINALIZER = "resources-finalizer.argocd.argoproj.io"
REFRESH = "argocd.argoproj.io/refresh"
SET_REFRESH = "argocd.argoproj.io/application-set-refresh"
PART_OF = "app.kubernetes.io/part-of=yolo-lifecycle"
ENVIRONMENT, APP = "yolo-lifecycle/environment", "yolo-lifecycle/app"
PROJECT = "yolo-platform"
# A sync that runs for longer is thought to hang: a wave that does not become healthy, or a hook that does not end.
HANGS = 600.0


def folder(application: Object) -> str:
    """`<environment>/<app>` of a model server's Application; empty for any other."""
    labels = application["metadata"].get("labels") or {}
    return f"{labels[ENVIRONMENT]}/{labels[APP]}" if ENVIRONMENT in labels and APP in labels else ""


def sources(application: Object) -> list[Object]:
    """All sources, in the order in which `revisions` has theirs."""
    spec = application["spec"]
    return spec.get("sources") or [spec.get("source") or {}]


def revisions(application: Object, url: str) -> dict[str, str]:
    """Target revision to the commit that Argo CD last compared with, for each source that is this repository."""
    sync = (application.get("status") or {}).get("sync") or {}
    found = sync.get("revisions") or [sync.get("revision") or ""]
    pairs = zip(sources(application), found, strict=False)
    return {source.get("targetRevision", "HEAD"): at for source, at in pairs if source.get("repoURL") == url}


def refresh(kubectl: Kubectl, name: str) -> None:
    """Ask Argo CD to read Git for an Application now; by itself it does so every few minutes."""
    kubectl.run("--namespace", NAMESPACE, "annotate", "--overwrite", APPLICATIONS, name, f"{REFRESH}=normal")


def evaluate(kubectl: Kubectl, timeout: float = 60.0, interval: float = 1.0) -> None:
    """Have the ApplicationSet read Git and the clusters' Secrets now, and wait until it has; nothing where it is not.

    Raises:
        ClusterError: its controller did not do so in `timeout` seconds.
    """
    kind, name = APPLICATION_SET
    if kubectl.get(kind, name, NAMESPACE) is None:
        return
    kubectl.run("--namespace", NAMESPACE, "annotate", "--overwrite", kind, name, f"{SET_REFRESH}=true")
    deadline = time.monotonic() + timeout
    while SET_REFRESH in ((kubectl.get(kind, name, NAMESPACE) or {}).get("metadata", {}).get("annotations") or {}):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"The ApplicationSet {name} was not evaluated in {timeout:.0f} s. Look at its controller: "
                f"`kubectl -n {NAMESPACE} logs deployment/argocd-applicationset-controller`."
            )
        time.sleep(interval)


def set_error(kubectl: Kubectl) -> str:
    """Why the ApplicationSet makes no Applications, in its controller's words; empty where it does."""
    found = kubectl.get(*APPLICATION_SET, NAMESPACE) or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    said = [each["message"] for each in conditions if (each["type"], each["status"]) == ("ErrorOccurred", "True")]
    return "; ".join(said)


def hangs(application: Object, heads: set[str], url: str) -> str:
    """Why an Application needs a new sync that Argo CD does not start by itself; empty: it does not."""
    status = application.get("status") or {}
    operation = status.get("operationState") or {}
    phase = operation.get("phase")
    if phase == "Running":
        result = operation.get("syncResult") or {}
        at = [revision for revision in result.get("revisions") or [result.get("revision")] if revision]
        if revisions(application, url) and at and not heads & set(at):
            return f"its sync holds on to {at[-1][:12]}"
        if operation.get("finishedAt"):
            return "its sync waits for the next try"
        seconds = _age(operation.get("startedAt", ""))
        return f"its sync runs for {seconds / 60:.0f} minutes" if seconds > HANGS else ""
    if phase in ("Failed", "Error") and (status.get("sync") or {}).get("status") == "OutOfSync":
        return "its last sync failed"
    return ""


def _age(stamp: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()
    except ValueError:
        return 0.0


def sync(kubectl: Kubectl, name: str, timeout: float = 60.0, interval: float = 1.0) -> None:
    """End the operation that runs, if one does, and start a sync to what Git says now.

    Raises:
        ClusterError: the running one did not end in `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while _phase(application := kubectl.get(APPLICATIONS, name, NAMESPACE)) in ("Running", "Terminating"):
        if _phase(application) == "Running":
            # As `argocd app terminate-op` does it.
            _patch(kubectl, name, {"status": {"operationState": {"phase": "Terminating"}}})
        if time.monotonic() > deadline:
            raise ClusterError(
                f"The sync of {name} did not end in {timeout:.0f} s. Look at the controller: "
                f"`kubectl -n {NAMESPACE} logs statefulset/argocd-application-controller`."
            )
        time.sleep(interval)
    if application is None:
        return
    policy = application["spec"].get("syncPolicy") or {}
    operation = {
        "initiatedBy": {"username": "cluster-up"},
        "retry": policy.get("retry") or {},
        "sync": {
            "prune": bool((policy.get("automated") or {}).get("prune")),
            "syncOptions": policy.get("syncOptions") or [],
        },
    }
    _patch(kubectl, name, {"operation": operation})


def _phase(application: Object | None) -> str:
    status = (application or {}).get("status") or {}
    return str((status.get("operationState") or {}).get("phase", ""))


def delete(kubectl: Kubectl, name: str, *, cascade: bool = True) -> None:
    """Delete an Application and, with `cascade`, all that it made but what says Delete=false; wait until it is gone.

    Raises:
        ClusterError: it was not gone in 5 minutes.
    """
    found = kubectl.get(APPLICATIONS, name, NAMESPACE)
    if found is None:
        return
    finalizers = found["metadata"].get("finalizers") or []
    if cascade and FINALIZER not in finalizers:
        _patch(kubectl, name, {"metadata": {"finalizers": [*finalizers, FINALIZER]}})
    try:
        where = ("--namespace", NAMESPACE)
        kubectl.run(*where, "delete", APPLICATIONS, name, "--wait", "--timeout=300s", timeout=320)
    except KubectlError as error:
        raise ClusterError(
            f"{error} Argo CD's controller does it: `kubectl -n {NAMESPACE} logs "
            "statefulset/argocd-application-controller`; then run this again."
        ) from error


def _patch(kubectl: Kubectl, name: str, patch: Object) -> None:
    kubectl.run("--namespace", NAMESPACE, "patch", APPLICATIONS, name, "--type", "merge", "--patch", json.dumps(patch))
