"""What a provider's cluster does differently, as far as the cluster itself tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cluster.findings import Finding, fail, note, ok
from cluster.kubectl import Kubectl, Object
from cluster.settings import ROOT, Settings

# How a kubelet's version or a node's providerID names the provider.
PROVIDERS = (
    ("GKE", r"-gke\.|^gce://"),
    ("EKS", r"-eks-|^aws://"),
    ("AKS", r"^azure://"),
    ("k3s", r"\+k3s|^k3s://"),
    ("kind", r"^kind://"),
)
# DaemonSets whose agents enforce NetworkPolicies.
ENFORCERS = ("calico-node", "cilium", "anetd", "antrea-agent", "kube-router", "weave-net", "ovnkube-node", "azure-npm")
ENFORCE = "pod-security.kubernetes.io/enforce"
APPS = ROOT / "argocd-apps"
STACK = ROOT / "charts" / "platform" / "kube-prometheus-stack.yaml"
# What Autopilot refuses of kube-prometheus-stack: pods with a node's network and paths, and Services in kube-system.
REFUSED = {
    "nodeExporter.enabled": r"^nodeExporter:\n(  .*\n)*?  enabled: false$",
    "coreDns.enabled": r"^coreDns:\n(  .*\n)*?  enabled: false$",
    "prometheusOperator.kubeletService.enabled": r"^  kubeletService:\n(    .*\n)*?    enabled: false$",
}


def findings(settings: Settings, kubectl: Kubectl, nodes: list[Object]) -> Iterator[Finding]:
    """Notes on this provider, and what its rules would refuse."""
    name = provider(nodes)
    if name:
        yield ok(f"the provider is {name}")
    if any(each["metadata"]["name"].startswith("gk3-") for each in nodes) and settings.on("platform.monitoring"):
        yield from _autopilot()
    if settings.on("platform.monitoring"):
        yield from _pod_security(kubectl)
    if settings.on("ingress.enabled"):
        yield from _ingress(settings, kubectl)
    yield from _load_balancers(settings, name)
    if not settings.on("mlflow.auth"):
        yield from _policies(name, kubectl)


def provider(nodes: list[Object]) -> str:
    """The provider's name; empty: it is not known."""
    for each in nodes:
        told = (
            (each.get("status") or {}).get("nodeInfo", {}).get("kubeletVersion", ""),
            (each.get("spec") or {}).get("providerID", ""),
        )
        for name, form in PROVIDERS:
            if any(re.search(form, text) for text in told):
                return name
    return ""


def _autopilot() -> Iterator[Finding]:
    text = STACK.read_text()
    left = [key for key, form in REFUSED.items() if not re.search(form, text, re.MULTILINE)]
    if left:
        yield fail(
            "GKE Autopilot refuses pods that use a node's network or paths, and Services in kube-system: set "
            f"{', '.join(left)} to false in charts/platform/kube-prometheus-stack.yaml, or "
            "platform.monitoring = false and use Google's own monitoring."
        )


def _pod_security(kubectl: Kubectl) -> Iterator[Finding]:
    """node-exporter uses its node's network and paths, which only the standard `privileged` allows."""
    labels = ((kubectl.get("namespace", "monitoring") or {}).get("metadata") or {}).get("labels") or {}
    if labels.get(ENFORCE, "privileged") != "privileged":
        yield fail(
            f"Namespace monitoring enforces the Pod Security Standard {labels[ENFORCE]}, which refuses node-exporter. "
            f"kubectl label --overwrite namespace monitoring {ENFORCE}=privileged, or set nodeExporter.enabled to "
            "false in charts/platform/kube-prometheus-stack.yaml."
        )


def _ingress(settings: Settings, kubectl: Kubectl) -> Iterator[Finding]:
    names = [each["metadata"]["name"] for each in kubectl.list("ingressclasses.networking.k8s.io")]
    wanted = settings.text("ingress.class")
    if wanted in names:
        yield ok(f"the IngressClass {wanted} is there")
    else:
        yield fail(
            f"ingress.class is {wanted}, and the cluster's IngressClasses are {', '.join(names) or 'none'}. Name one "
            "of these, install a controller, or set ingress.enabled = false."
        )


def _load_balancers(settings: Settings, name: str, folder: Path = APPS) -> Iterator[Finding]:
    """A Service of that type that nobody gives an address is Progressing for ever, and its Application with it."""
    if name not in ("", "kind"):
        return
    for environment in settings.served:
        for path in sorted((folder / environment).rglob("*.yaml")):
            if re.search(r"^ *type: LoadBalancer\b", path.read_text(), re.MULTILINE):
                yield note(
                    f"argocd-apps/{path.relative_to(folder)} asks for a Service of type LoadBalancer, and "
                    + ("kind gives it no address" if name else "this cluster may have nothing that gives it an address")
                    + ": install MetalLB or the like, or take ClusterIP with an ingress"
                )


def _policies(name: str, kubectl: Kubectl) -> Iterator[Finding]:
    """Without a password, NetworkPolicies are all that keeps others from MLflow."""
    agents = [each for each in kubectl.list("daemonsets.apps") if _enforces(each)]
    if agents or name == "k3s":
        yield ok(f"NetworkPolicies are enforced by {agents[0]['metadata']['name'] if agents else 'k3s itself'}")
        return
    yield note(
        "mlflow.auth is false, and nothing was found that enforces NetworkPolicies: any pod of the cluster may change "
        "any model in MLflow. Set mlflow.auth = true, or install a network that enforces them."
    )


def _enforces(daemonset: Object) -> bool:
    """Whether it is an agent that does; on EKS the VPC CNI does when it is told to."""
    containers = daemonset["spec"].get("template", {}).get("spec", {}).get("containers") or []
    told = "--enable-network-policy=true" in [arg for each in containers for arg in each.get("args") or []]
    return daemonset["metadata"]["name"] in ENFORCERS or told
