"""Environment variables of a container: values, references to other objects, and ``$(VAR)`` expansion."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

from sandbox.kube.objects import kinds
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.quantities import amount
from sandbox.kube.objects.store import Object, Store

_VARIABLE = re.compile(r"\$(\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")
_KEYED = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class ConfigError(Exception):
    """A reference leads nowhere (CreateContainerConfigError); the message names it as kubelet does."""


def expand(text: str, variables: dict[str, str]) -> str:
    """``$(VAR)`` → its value; unknown ones stay; ``$$`` → ``$``."""

    def replace(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _VARIABLE.sub(replace, text)


def quantity(text: str | int | float) -> float:
    """A quantity as a number: ``500m`` → 0.5, ``2Gi`` → 2147483648."""
    try:
        return float(amount(str(text)))
    except ValueError as error:
        raise ConfigError(str(error)) from error


class Environment:
    """Resolves the environment of the containers of one pod."""

    def __init__(self, store: Store, pod: Object, pod_ip: str) -> None:
        self.store = store
        self.pod = pod
        self.pod_ip = pod_ip
        self.namespace: str = pod["metadata"]["namespace"]

    def resolve(self, container: Object) -> dict[str, str]:
        """All variables of the manifest, expanded, in Kubernetes' order. Raises ConfigError."""
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            variables.update(self._all_of(source))
        for entry in container.get("env", []):
            if "valueFrom" in entry:
                value = self._value_from(entry["valueFrom"], container)
                if value is None:
                    continue
                variables[entry["name"]] = value
            else:
                variables[entry["name"]] = expand(entry.get("value", ""), variables)
        return variables

    def _all_of(self, source: Object) -> dict[str, str]:
        kind, ref = (
            (kinds.SECRET, source["secretRef"]) if "secretRef" in source else (kinds.CONFIG_MAP, source["configMapRef"])
        )
        data = self.data(kind, ref["name"], bool(ref.get("optional")))
        return {source.get("prefix", "") + key: value.decode() for key, value in (data or {}).items()}

    def data(self, kind: Kind, name: str, optional: bool) -> dict[str, bytes] | None:
        """The decoded data of a Secret or ConfigMap; None when it is absent and optional. Raises ConfigError."""
        found = self.store.find(kind, self.namespace, name)
        if found is None:
            if optional:
                return None
            raise ConfigError(f'{kind.singular} "{name}" not found')
        if kind == kinds.SECRET:
            return {key: base64.b64decode(text) for key, text in found.get("data", {}).items()}
        binary = {key: base64.b64decode(text) for key, text in found.get("binaryData", {}).items()}
        return {key: text.encode() for key, text in found.get("data", {}).items()} | binary

    def _value_from(self, source: Object, container: Object) -> str | None:
        if "fieldRef" in source:
            return self.field(source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return self._resource(source["resourceFieldRef"], container)
        kind, ref = (
            (kinds.SECRET, source["secretKeyRef"])
            if "secretKeyRef" in source
            else (kinds.CONFIG_MAP, source["configMapKeyRef"])
        )
        data = self.data(kind, ref["name"], bool(ref.get("optional")))
        if data is None or (ref["key"] not in data and ref.get("optional")):
            return None
        if ref["key"] not in data:
            raise ConfigError(f"couldn't find key {ref['key']} in {kind.kind} {self.namespace}/{ref['name']}")
        return data[ref["key"]].decode()

    def field(self, path: str) -> str:
        """The value of a downward-API field path. Raises ConfigError for one that is not supported."""
        meta = self.pod["metadata"]
        simple: dict[str, Any] = {
            "metadata.name": meta["name"],
            "metadata.namespace": self.namespace,
            "metadata.uid": meta["uid"],
            "spec.nodeName": "sandbox",
            "spec.serviceAccountName": self.pod["spec"].get("serviceAccountName", "default"),
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.pod_ip.rpartition(".")[0] + ".1",
        }
        if path in simple:
            return str(simple[path])
        if match := _KEYED.match(path):
            return str((meta.get(match[1]) or {}).get(match[2], ""))
        if path in ("metadata.labels", "metadata.annotations"):
            pairs = meta.get(path.partition(".")[2]) or {}
            return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
        raise ConfigError(f"fieldPath {path!r} is not supported by the sandbox's Kubernetes")

    def _resource(self, ref: Object, container: Object) -> str:
        name = ref.get("containerName") or container["name"]
        spec = self.pod["spec"]
        target = next((c for c in [*spec["containers"], *spec.get("initContainers", [])] if c["name"] == name), None)
        if target is None:
            raise ConfigError(f"resourceFieldRef names container {name!r}, which the pod does not have")
        group, _, resource = ref["resource"].partition(".")
        if group not in ("limits", "requests") or not resource:
            raise ConfigError(f"resourceFieldRef resource {ref['resource']!r} must be limits.<name> or requests.<name>")
        resources = target.get("resources") or {}
        amount = (resources.get(group) or {}).get(resource)
        if amount is None and group == "limits":
            amount = _machine(resource)
        divisor = quantity(ref.get("divisor") or 1) or 1.0
        return str(-int(-quantity(amount or 0) // divisor))


def _machine(resource: str) -> float:
    """What Kubernetes gives for an absent limit: all that the node has."""
    if resource == "cpu":
        return float(os.cpu_count() or 1)
    if resource == "memory":
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return 0.0
