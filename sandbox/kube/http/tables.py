"""``kubectl get``'s columns: a meta.k8s.io/v1 Table for any list of objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.kube import clock
from sandbox.kube.objects import kinds
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Object

# (title, priority): priority 1 is shown with `-o wide` alone.
Columns = list[tuple[str, int]]
Row = Callable[[Object], list[Any]]


def table(kind: Kind, objects: list[Object], version: str, *, header: bool = True, include: str = "Metadata") -> Object:
    """The Table of some objects. ``include``: None, Metadata or Object, as the query parameter includeObject says."""
    columns, row = _TABLES.get(kind, _PLAIN)
    result: Object = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [_column(title, priority) for title, priority in columns] if header else None,
        "rows": [{"cells": row(obj), "object": _object(obj, include)} for obj in objects],
    }
    return result


def _column(title: str, priority: int) -> Object:
    return {
        "name": title,
        "type": "string",
        "format": "name" if title == "Name" else "",
        "description": "",
        "priority": priority,
    }


def _object(obj: Object, include: str) -> Object | None:
    if include == "Object":
        return obj
    if include == "None":
        return None
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _name(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: Object) -> str:
    return clock.age(obj["metadata"].get("creationTimestamp"))


def _labels(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def _pod(obj: Object) -> list[Any]:
    status = obj.get("status") or {}
    states = status.get("containerStatuses", [])
    ready = sum(bool(state.get("ready")) for state in states)
    restarts = sum(state.get("restartCount", 0) for state in states)
    ended = [state["lastState"]["terminated"]["finishedAt"] for state in states if state.get("lastState")]
    shown = f"{restarts} ({clock.age(max(ended))} ago)" if restarts and ended else str(restarts)
    total = len(obj["spec"]["containers"])
    address = status.get("podIP") or "<none>"
    node = obj["spec"].get("nodeName") or "<none>"
    return [_name(obj), f"{ready}/{total}", pod_reason(obj), shown, _age(obj), address, node, "<none>", "<none>"]


def pod_reason(obj: Object) -> str:
    """The STATUS column: the phase, or what explains it better."""
    status = obj.get("status") or {}
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    inits = status.get("initContainerStatuses", [])
    for index, init in enumerate(inits):
        state = init["state"]
        code = state.get("terminated", {}).get("exitCode")
        if code == 0:
            continue
        if code is not None:
            return f"Init:{state['terminated'].get('reason') or f'ExitCode:{code}'}"
        reason = state.get("waiting", {}).get("reason", "PodInitializing")
        return f"Init:{index}/{len(inits)}" if reason in ("PodInitializing", "ContainerCreating") else f"Init:{reason}"
    result = str(status.get("reason") or status.get("phase") or "Pending")
    running = False
    for state in reversed([item["state"] for item in status.get("containerStatuses", [])]):
        running = running or "running" in state
        if state.get("waiting", {}).get("reason"):
            result = state["waiting"]["reason"]
        elif state.get("terminated") and not status.get("reason"):
            result = state["terminated"].get("reason") or f"ExitCode:{state['terminated']['exitCode']}"
    if result == "Completed" and running:
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
        return "Running" if ready else "NotReady"
    return result


def _deployment(obj: Object) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    containers = spec["template"]["spec"]["containers"]
    return [
        _name(obj),
        f"{status.get('readyReplicas', 0)}/{spec['replicas']}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj),
        ",".join(c["name"] for c in containers),
        ",".join(c["image"] for c in containers),
        _labels(spec["selector"].get("matchLabels")),
    ]


def _replica_set(obj: Object) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    containers = spec["template"]["spec"]["containers"]
    return [
        _name(obj),
        spec["replicas"],
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _age(obj),
        ",".join(c["name"] for c in containers),
        ",".join(c["image"] for c in containers),
        _labels(spec["selector"].get("matchLabels")),
    ]


def _service(obj: Object) -> list[Any]:
    spec = obj["spec"]
    ports = ",".join(f"{port['port']}/{port['protocol']}" for port in spec["ports"])
    return [_name(obj), spec["type"], spec.get("clusterIP"), "<none>", ports, _age(obj), _labels(spec.get("selector"))]


def _slice(obj: Object) -> list[Any]:
    ports = ",".join(str(port["port"]) for port in obj.get("ports") or []) or "<unset>"
    addresses = ",".join(a for endpoint in obj.get("endpoints") or [] for a in endpoint["addresses"]) or "<unset>"
    return [_name(obj), obj.get("addressType"), ports, addresses, _age(obj)]


def _claim(obj: Object) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    short = {"ReadWriteOnce": "RWO", "ReadWriteMany": "RWX", "ReadOnlyMany": "ROX", "ReadWriteOncePod": "RWOP"}
    modes = ",".join(short[mode] for mode in spec["accessModes"])
    capacity = status.get("capacity", {}).get("storage", "")
    class_name = spec.get("storageClassName", "")
    return [_name(obj), status.get("phase"), spec.get("volumeName", ""), capacity, modes, class_name, _age(obj)]


def _event(obj: Object) -> list[Any]:
    involved = obj["involvedObject"]
    target = f"{involved['kind'].lower()}/{involved['name']}"
    return [clock.age(obj.get("lastTimestamp")), obj.get("type"), obj.get("reason"), target, obj.get("message")]


def _application(obj: Object) -> list[Any]:
    status = obj.get("status") or {}
    sync, health = status.get("sync") or {}, status.get("health") or {}
    project = (obj.get("spec") or {}).get("project", "")
    return [_name(obj), sync.get("status", ""), health.get("status", ""), sync.get("revision", ""), project]


_TABLES: dict[Kind, tuple[Columns, Row]] = {
    kinds.POD: (
        [("Name", 0), ("Ready", 0), ("Status", 0), ("Restarts", 0), ("Age", 0), ("IP", 1), ("Node", 1),
         ("Nominated Node", 1), ("Readiness Gates", 1)],
        _pod,
    ),
    kinds.DEPLOYMENT: (
        [("Name", 0), ("Ready", 0), ("Up-to-date", 0), ("Available", 0), ("Age", 0), ("Containers", 1), ("Images", 1),
         ("Selector", 1)],
        _deployment,
    ),
    kinds.REPLICA_SET: (
        [("Name", 0), ("Desired", 0), ("Current", 0), ("Ready", 0), ("Age", 0), ("Containers", 1), ("Images", 1),
         ("Selector", 1)],
        _replica_set,
    ),
    kinds.SERVICE: (
        [("Name", 0), ("Type", 0), ("Cluster-IP", 0), ("External-IP", 0), ("Port(s)", 0), ("Age", 0), ("Selector", 1)],
        _service,
    ),
    kinds.ENDPOINT_SLICE: ([("Name", 0), ("AddressType", 0), ("Ports", 0), ("Endpoints", 0), ("Age", 0)], _slice),
    kinds.CLAIM: (
        [("Name", 0), ("Status", 0), ("Volume", 0), ("Capacity", 0), ("Access Modes", 0), ("StorageClass", 0),
         ("Age", 0)],
        _claim,
    ),
    kinds.EVENT: ([("Last Seen", 0), ("Type", 0), ("Reason", 0), ("Object", 0), ("Message", 0)], _event),
    kinds.APPLICATION: (
        [("Name", 0), ("Sync Status", 0), ("Health Status", 0), ("Revision", 1), ("Project", 1)],
        _application,
    ),
    kinds.NAMESPACE: (
        [("Name", 0), ("Status", 0), ("Age", 0)],
        lambda obj: [_name(obj), (obj.get("status") or {}).get("phase", ""), _age(obj)],
    ),
    kinds.SECRET: (
        [("Name", 0), ("Type", 0), ("Data", 0), ("Age", 0)],
        lambda obj: [_name(obj), obj.get("type"), len(obj.get("data") or {}), _age(obj)],
    ),
    kinds.CONFIG_MAP: (
        [("Name", 0), ("Data", 0), ("Age", 0)],
        lambda obj: [_name(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _age(obj)],
    ),
}  # fmt: skip
_PLAIN: tuple[Columns, Row] = ([("Name", 0), ("Age", 0)], lambda obj: [_name(obj), _age(obj)])
