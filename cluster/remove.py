"""Take one app away: what Git and the settings no longer ask for serves on until a person says this second word."""

from __future__ import annotations

import re

from cluster import argocd
from cluster.errors import ClusterError
from cluster.kubectl import Kubectl
from cluster.repository import Repository
from cluster.settings import NAME, PARTS
from cluster.wait import Say

PLATFORM = "platform"
SELF = "argo-cd"


def remove(kubectl: Kubectl, repository: Repository, say: Say, app: str, confirmed: str) -> None:
    """Delete the Application of `app` with all that it made; claims, Secrets and the namespace stay.

    Args:
        app: `<environment>/<app>`, as its folder in argocd-apps/ was; or `platform/<name>`.
        confirmed: the context's name, which a person repeats so that no other cluster is taken by mistake.

    Raises:
        ClusterError: there is no such app, it is still asked for, it was not confirmed, or it could not be deleted.
    """
    if not re.fullmatch(f"{NAME}/{NAME}", app):
        raise ClusterError(f"APP must be <environment>/<app> such as staging/detector, not {app!r}.")
    environment, _, name = app.partition("/")
    application = name if environment == PLATFORM else f"{environment}-{name}"
    found = kubectl.get(argocd.APPLICATIONS, application, argocd.NAMESPACE)
    ours = found is not None and (
        found["spec"].get("project") == argocd.PROJECT if environment == PLATFORM else argocd.folder(found) == app
    )
    if not ours:
        raise ClusterError(
            f"The cluster has no app {app}. What it has: {', '.join(_apps(kubectl)) or 'none'}. Say one of these."
        )
    wanted = _asked_for(kubectl, repository, name) if environment == PLATFORM else _in_git(kubectl, repository, app)
    if wanted:
        raise ClusterError(wanted)
    context = kubectl.context or kubectl.run("config", "current-context").strip()
    if confirmed != context:
        raise ClusterError(
            f"This stops {app} in the cluster of context {context}. If you want that, say the context's name: "
            f"`make cluster-remove APP={app} CONFIRM={context}`."
        )
    # From what it read of Git minutes ago, its controller would make the Application again.
    argocd.evaluate(kubectl)
    say(f"deleting application {application} with all that it made")
    argocd.delete(kubectl, application, cascade=(environment, name) != (PLATFORM, SELF))
    say("Volumes, Secrets and the namespace are left; MLflow keeps every version.")


def _apps(kubectl: Kubectl) -> list[str]:
    names = [argocd.folder(each) for each in kubectl.list(argocd.APPLICATIONS, argocd.NAMESPACE)]
    return sorted(name for name in names if name)


def _in_git(kubectl: Kubectl, repository: Repository, app: str) -> str:
    """Why the ApplicationSet would make a model server's Application again; empty: it would not."""
    environment = app.partition("/")[0]
    selector = f"argocd.argoproj.io/secret-type=cluster,yolo-lifecycle/environment-{environment}=true"
    if app not in repository.apps() or not kubectl.list("secrets", argocd.NAMESPACE, selector):
        return ""
    return (
        f"Git still asks for {app}: take argocd-apps/{app} out of {repository.branch} and push; or, for all apps of "
        f"{environment}, set environments.{environment} = false in cluster/settings.toml, `make cluster-configure`, "
        "push, and `make cluster-up`."
    )


def _asked_for(kubectl: Kubectl, repository: Repository, name: str) -> str:
    """Why the root would make a part of the platform again; empty: it would not."""
    root, file = kubectl.get(argocd.APPLICATIONS, PLATFORM, argocd.NAMESPACE), f"platform/{name}.yaml"
    excluded = str((root or {}).get("spec", {}).get("source", {}).get("directory", {}).get("exclude", ""))
    if root is None or file in excluded or f"argocd-apps/{file}" not in repository.files():
        return ""
    if name not in PARTS:
        return f"Git still asks for {name}: take argocd-apps/{file} out of {repository.branch} and push."
    return (
        f"The platform still asks for {name}: set {PARTS[name]} in cluster/settings.toml, `make cluster-configure`, "
        "push, and `make cluster-up`."
    )
