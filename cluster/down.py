"""Take the platform away. What holds data (claims, Secrets, the git repository) stays and is named at the end."""

from __future__ import annotations

from cluster import local
from cluster.argocd import APPLICATION_SET, APPLICATIONS, NAMESPACE, PART_OF, delete, folder
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.settings import Settings
from cluster.up import applications
from cluster.wait import Say

# Namespaces of the platform, and the settings by which some are another's.
LENT = {"argocd": "platform.argocd", "monitoring": "platform.monitoring", "cnpg-system": "platform.cloudnativepg"}
KEPT = ("platform", "monitoring", "lifecycle", "cnpg-system", "argocd")


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
    for name in ("platform", "yolo-lifecycle"):
        _delete(kubectl, say, APPLICATIONS, name, NAMESPACE)
    _delete_model_servers(kubectl, say)
    # The last waves first. argo-cd has no finalizer: it must live until it has removed what the others made.
    for name in reversed([name for name in applications(settings) if name != "yolo-lifecycle"]):
        _delete(kubectl, say, APPLICATIONS, name, NAMESPACE)
    if settings.on("platform.argocd"):
        say("Argo CD itself is left: helm uninstall argocd --namespace argocd")
    left = [name for name in KEPT if name not in LENT or settings.on(LENT[name])]
    say(
        "Volumes, Secrets and namespaces are left, with all data in them; to lose these too: "
        f"kubectl delete namespace {' '.join([*left, *settings.environments])}"
    )


def _delete(kubectl: Kubectl, say: Say, kind: str, name: str, namespace: str, *arguments: str) -> None:
    if kubectl.get(kind, name, namespace) is None:
        return
    say(f"deleting {kind.partition('.')[0].removesuffix('s')} {name}")
    kubectl.run("--namespace", namespace, "delete", kind, name, *arguments, "--wait", "--timeout=300s", timeout=320)


def _delete_model_servers(kubectl: Kubectl, say: Say) -> None:
    """The ApplicationSet's Applications have no finalizer, so that losing one stops no server; here each gets it first.

    The ApplicationSet goes before them, else it would take the finalizer away again, and without its Applications.
    """
    kind, name = APPLICATION_SET
    _delete(kubectl, say, kind, name, NAMESPACE, "--cascade=orphan")
    for application in kubectl.list(APPLICATIONS, NAMESPACE, PART_OF):
        if app := folder(application):
            say(f"deleting the model servers of {app}")
            delete(kubectl, application["metadata"]["name"])
