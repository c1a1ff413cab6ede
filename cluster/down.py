"""Take the platform away. What holds data (claims, Secrets, the git repository) stays and is named at the end."""

from __future__ import annotations

from cluster import local
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from cluster.up import NAMESPACE, Say, applications

KEPT = ("platform", "monitoring", "lifecycle", "argocd")


def down(settings: Settings, kubectl: Kubectl, say: Say, confirmed: str) -> None:
    """Delete a local cluster, or uninstall from one that is there.

    Args:
        confirmed: the context's name, which a person repeats so that no other cluster is taken by mistake.

    Raises:
        ClusterError: it was not confirmed, or something could not be deleted.
    """
    if settings.text("cluster.kind") != "current":
        if local.missing(settings):
            say("there is no such cluster")
            return
        local.delete(settings)
        return
    context = kubectl.context or kubectl.run("config", "current-context").strip()
    if confirmed != context:
        raise ClusterError(
            f"This stops serving and training in the cluster of context {context}. If you want that, say its name: "
            f"`make cluster-down CONFIRM={context}`."
        )
    _delete(kubectl, say, "application.argoproj.io", "platform", NAMESPACE)
    _delete(kubectl, say, "application.argoproj.io", "yolo-lifecycle", NAMESPACE)
    _delete(kubectl, say, "applicationset.argoproj.io", "model-servers", NAMESPACE)
    for environment in settings.served:
        _delete_model_servers(kubectl, say, environment)
    # The last waves first. argo-cd has no finalizer: it must live until it has removed what the others made.
    for name in reversed([name for name in applications() if name != "yolo-lifecycle"]):
        _delete(kubectl, say, "application.argoproj.io", name, NAMESPACE)
    say("Argo CD itself is left: helm uninstall argocd --namespace argocd")
    say(
        "Volumes, Secrets and namespaces are left, with all data in them; to lose these too: "
        f"kubectl delete namespace {' '.join([*KEPT, *settings.served])}"
    )


def _delete(kubectl: Kubectl, say: Say, kind: str, name: str, namespace: str) -> None:
    if kubectl.get(kind, name, namespace) is None:
        return
    say(f"deleting {kind.partition('.')[0]} {name}")
    kubectl.run("--namespace", namespace, "delete", kind, name, "--wait", "--timeout=300s", timeout=320)


def _delete_model_servers(kubectl: Kubectl, say: Say, environment: str) -> None:
    """The ApplicationSet's Applications have no finalizer, so that losing one stops no server; here all are to stop."""
    if kubectl.get("namespace", environment) is None:
        return
    say(f"deleting the model servers of {environment}")
    label = "app.kubernetes.io/name=triton"
    kubectl.run("--namespace", environment, "delete", "deployments,services", "--selector", label, timeout=180)
