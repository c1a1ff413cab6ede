"""What the cluster has already of what cluster-up would install: it is used, or named, and never taken over."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import argocd
from cluster.findings import Finding, fail, note, ok
from cluster.kubectl import Kubectl, Object, decoded
from cluster.settings import Settings

HERE = "https://kubernetes.default.svc"
CLUSTERS = "argocd.argoproj.io/secret-type=cluster"
OURS = "yolo-lifecycle/installed-by"
MONITORS = "servicemonitors.monitoring.coreos.com"
HEALTH = "resource.customizations.health.argoproj.io_Application"
POLICY, OVERRIDE = "applicationsetcontroller.policy", "applicationsetcontroller.enable.policy.override"


def findings(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    """Whether what is there and what the settings want go together."""
    deployments = kubectl.list("deployments.apps")
    if settings.on("platform.argocd"):
        yield from _foreign_argocd(kubectl, deployments)
    else:
        yield from _given_argocd(settings, kubectl, deployments)
    yield from _monitoring(settings, kubectl, deployments)


def _servers(deployments: list[Object]) -> list[Object]:
    """Argo CD's API servers, whoever installed them."""

    def is_one(labels: dict[str, str]) -> bool:
        return (labels.get("app.kubernetes.io/part-of"), labels.get("app.kubernetes.io/component")) == (
            "argocd",
            "server",
        )

    return [
        each
        for each in deployments
        if each["metadata"]["name"] == "argocd-server" or is_one(each["metadata"].get("labels") or {})
    ]


def _of_the_platform(kubectl: Kubectl, name: str) -> bool:
    """Whether this project's Argo CD manages that part of the platform."""
    found = kubectl.get(argocd.APPLICATIONS, name, argocd.NAMESPACE)
    return found is not None and found["spec"].get("project") == argocd.PROJECT


def _foreign_argocd(kubectl: Kubectl, deployments: list[Object]) -> Iterator[Finding]:
    for each in _servers(deployments):
        namespace = each["metadata"]["namespace"]
        marked = OURS in (each["metadata"].get("annotations") or {}) or _of_the_platform(kubectl, "argo-cd")
        if namespace == argocd.NAMESPACE and marked:
            yield ok("Argo CD is the one that cluster-up installed")
        else:
            yield fail(
                f"Namespace {namespace} has an Argo CD that cluster-up did not install, and a cluster has room for "
                "one. To use it, set platform.argocd = false in cluster/settings.toml; else remove it first."
            )


def _given_argocd(settings: Settings, kubectl: Kubectl, deployments: list[Object]) -> Iterator[Finding]:
    """An Argo CD of somebody else's has to be able to do what the manifests ask for."""
    namespaces = [each["metadata"]["namespace"] for each in _servers(deployments)]
    if argocd.NAMESPACE not in namespaces:
        where = f"namespace {namespaces[0]} has one" if namespaces else "the cluster has none"
        yield fail(
            f"platform.argocd is false, which wants an Argo CD in namespace {argocd.NAMESPACE}; {where}. Set it to "
            "true, or install one there."
        )
        return
    yield ok(f"Argo CD in namespace {argocd.NAMESPACE} is used and left as it is")
    if not _retries_with_the_newest(kubectl):
        yield fail("This Argo CD is older than 3.2 and does not know spec.syncPolicy.retry.refresh. Upgrade it first.")
    config = _config(kubectl, "argocd-cm")
    if HEALTH not in config:
        yield fail(
            f"ConfigMap argocd-cm has no {HEALTH}, so that waves of Applications do not wait for each other. Add it as "
            "charts/platform/argo-cd.yaml has it under configs.cm."
        )
    params = _config(kubectl, "argocd-cmd-params-cm")
    if params.get(POLICY, "") not in ("", "create-update") and params.get(OVERRIDE) != "true":
        yield fail(
            f"This Argo CD's {POLICY} is {params[POLICY]}, which outranks the ApplicationSet's create-update: a folder "
            f'that is lost in Git would stop its servers. Set {OVERRIDE}: "true" in ConfigMap argocd-cmd-params-cm, '
            "and restart deployment/argocd-applicationset-controller."
        )
    yield from _labels(settings, kubectl)


def _config(kubectl: Kubectl, name: str) -> dict[str, str]:
    return dict((kubectl.get("configmap", name, argocd.NAMESPACE) or {}).get("data") or {})


def _retries_with_the_newest(kubectl: Kubectl) -> bool:
    """Whether the definition of Applications knows `retry.refresh`; True where it cannot be read."""
    found = kubectl.get("customresourcedefinition", argocd.APPLICATIONS)
    if found is None:
        return True
    at = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for key in ("spec", "syncPolicy", "retry"):
        at = at.get("properties", {}).get(key, {})
    return "refresh" in at.get("properties", {})


def _labels(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    """The ApplicationSet finds a cluster's environments by the labels of the cluster's Secret."""
    labels = [f"yolo-lifecycle/environment-{name}" for name in settings.served]
    secrets = kubectl.list("secrets", argocd.NAMESPACE, CLUSTERS)
    here = [each["metadata"] for each in secrets if decoded(each).get("server") == HERE]
    lacking = [label for label in labels if not here or (here[0].get("labels") or {}).get(label) != "true"]
    if not lacking:
        yield ok("the cluster's Secret in Argo CD names its environments")
        return
    name, make = (here[0]["name"], "") if here else ("in-cluster", _make_secret())
    words = " ".join(f"{label}=true" for label in lacking)
    more = "" if here else f"{CLUSTERS} "
    yield fail(
        f"Argo CD does not know which environments this cluster runs. Tell it: {make}kubectl -n {argocd.NAMESPACE} "
        f"label secret {name} {more}{words}"
    )


def _make_secret() -> str:
    literals = {"name": "in-cluster", "server": HERE, "config": '{"tlsClientConfig":{"insecure":false}}'}
    text = " ".join(f"--from-literal={key}='{value}'" for key, value in literals.items())
    return f"kubectl -n {argocd.NAMESPACE} create secret generic in-cluster {text} && "


def _monitoring(settings: Settings, kubectl: Kubectl, deployments: list[Object]) -> Iterator[Finding]:
    operators = [each["metadata"] for each in deployments if _runs(each, "prometheus-operator")]
    if not settings.on("platform.monitoring"):
        if not operators and kubectl.get("customresourcedefinition", MONITORS) is None:
            yield note(
                "platform.monitoring is false and the cluster has no Prometheus operator: leave monitoring.* of "
                "charts/triton off, since Argo CD cannot make a ServiceMonitor"
            )
    elif operators and not _of_the_platform(kubectl, "monitoring"):
        yield fail(
            f"The cluster has a Prometheus operator (deployment {operators[0]['name']} in namespace "
            f"{operators[0]['namespace']}); a second one would manage the same objects. Set platform.monitoring = "
            "false in cluster/settings.toml, or remove it first."
        )


def _runs(deployment: Object, program: str) -> bool:
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("containers") or []
    names = [str(each.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0] for each in containers]
    return program in names
