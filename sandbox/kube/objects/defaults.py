"""What the API server fills in where an object leaves it out, and what admission adds to a pod."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox.kube.errors import ApiError
from sandbox.kube.objects import kinds
from sandbox.kube.objects.kinds import Kind

Object = dict[str, Any]
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def fill_in(kind: Kind, obj: Object) -> None:
    """Fill in what an object of a kind leaves out, in place. Raises ApiError 400 for what is not base64."""
    spec = obj.get("spec")
    if kind == kinds.POD and spec:
        default_pod(spec)
        admit_pod(spec)
    elif kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET) and spec:
        spec.setdefault("replicas", 1)
        default_pod(spec["template"]["spec"])
        if kind == kinds.DEPLOYMENT:
            _default_deployment(spec)
    elif kind == kinds.SERVICE and spec:
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        for port in spec["ports"]:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    elif kind == kinds.NETWORK_POLICY and spec:
        for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
            for port in rule.get("ports") or []:
                port.setdefault("protocol", "TCP")
    elif kind == kinds.CLAIM and spec:
        spec.setdefault("volumeMode", "Filesystem")
    elif kind == kinds.SECRET:
        _default_secret(obj)


def _default_deployment(spec: Object) -> None:
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)


def _default_secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")
    for key, text in obj.pop("stringData", {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()
    for key, text in obj.get("data", {}).items():
        try:
            base64.b64decode(text, validate=True)
        except binascii.Error as error:
            text = f'Secret in version "v1" cannot be handled as a Secret: data[{key}] is not base64: {error}'
            raise ApiError(400, text) from error


def default_pod(spec: Object) -> None:
    """Fill in the defaults of a pod or of a template, in place."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        container.setdefault("imagePullPolicy", "IfNotPresent" if tag not in ("", "latest") else "Always")
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("resources", {})
        for env in container.get("env", []):
            if env.get("value") == "":
                del env["value"]
            if "fieldRef" in env.get("valueFrom", {}):
                env["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
        for hook in container.get("lifecycle", {}).values():
            _default_http(hook)
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                container[probe] = {**_PROBE, **container[probe]}
                _default_http(container[probe])
    for volume in spec.get("volumes", []):
        for source in ("configMap", "secret", "downwardAPI"):
            if source in volume:
                volume[source].setdefault("defaultMode", 0o644)
        for item in volume.get("downwardAPI", {}).get("items", []):
            item["fieldRef"].setdefault("apiVersion", "v1")


def _default_http(action: Object) -> None:
    if "httpGet" in action:
        action["httpGet"] = {"path": "/", "scheme": "HTTP", **action["httpGet"]}


def admit_pod(spec: Object) -> None:
    """What the admission plugins and the defaults of a pod, and not of a template, add to it, in place."""
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    tolerated = {each.get("key") for each in spec.get("tolerations", []) if each.get("effect") in (None, "NoExecute")}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if key not in tolerated and None not in tolerated:
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            spec.setdefault("tolerations", []).append(toleration)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        limits = container["resources"].get("limits", {})
        if limits:
            container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}


def quality(spec: Object) -> str:
    """The class by which a pod is served where a node is full."""
    asked = [container.get("resources", {}) for container in [*spec.get("initContainers", []), *spec["containers"]]]
    if not any(each.get("requests") or each.get("limits") for each in asked):
        return "BestEffort"
    whole = all(
        each.get("limits", {}).get(name) and each["limits"][name] == each.get("requests", {}).get(name)
        for each in asked
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if whole else "Burstable"
