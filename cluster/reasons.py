"""Why an Application is not well: Argo CD's words, and those of its objects.

Argo CD 3 leaves each object's health out of an Application's status (`resourceHealthSource: appTree`), so the objects
are asked: workloads for their conditions, pods for what keeps them from being ready.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.errors import ClusterError
from cluster.kubectl import Kubectl, Object

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
# Conditions that say what is wrong.
TROUBLES = {("Progressing", "False"), ("ReplicaFailure", "True"), ("Failed", "True")}
MOST = 5
LENGTH = 300


def reason(kubectl: Kubectl, application: Object) -> str:
    """In one line; empty where nobody says anything."""
    said = list(dict.fromkeys([*_argocd(application), *_objects(kubectl, application)]))
    return "; ".join(said[:MOST])


def _argocd(application: Object) -> Iterator[str]:
    status = application.get("status") or {}
    yield from (_short(condition["message"]) for condition in status.get("conditions") or [])
    operation = status.get("operationState") or {}
    if operation.get("phase") in ("Failed", "Error", "Running") and operation.get("message"):
        yield _short(operation["message"])
    for resource in status.get("resources") or []:
        name, health = f"{resource['kind']} {resource['name']}", resource.get("health") or {}
        if resource.get("status") == "OutOfSync":
            yield f"{name} is OutOfSync"
        # Written where controller.resource.health.persist is on.
        if health.get("status") not in (None, "Healthy"):
            yield f"{name} is {health['status']} {_short(health.get('message', ''))}".strip()


def _objects(kubectl: Kubectl, application: Object) -> Iterator[str]:
    """What its workloads and their pods say."""
    entries = (application.get("status") or {}).get("resources") or []
    wanted = [entry for entry in entries if entry["kind"] in WORKLOADS and entry.get("namespace")]
    for namespace in dict.fromkeys(entry["namespace"] for entry in wanted):
        try:
            pods = kubectl.list("pods", namespace)
            for entry in wanted:
                if entry["namespace"] == namespace:
                    found = kubectl.get(entry["kind"].lower(), entry["name"], namespace)
                    yield from _of_workload(found, pods) if found else [f"{entry['kind']} {entry['name']} is missing"]
        except ClusterError as error:
            yield f"the objects in {namespace} could not be asked: {error}"


def _of_workload(workload: Object, pods: list[Object]) -> Iterator[str]:
    name = f"{workload['kind']} {workload['metadata']['name']}"
    for condition in (workload.get("status") or {}).get("conditions") or []:
        if (condition["type"], condition["status"]) in TROUBLES:
            yield f"{name}: {condition.get('reason', condition['type'])}: {_short(condition.get('message', ''))}"
    labels = ((workload["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    for pod in pods:
        if labels and labels <= (pod["metadata"].get("labels") or {}).items():
            yield from _of_pod(pod)


def _of_pod(pod: Object) -> Iterator[str]:
    name, status = f"pod {pod['metadata']['name']}", pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if (condition["type"], condition["status"]) == ("PodScheduled", "False"):
            yield f"{name} has no node: {_short(condition.get('message', ''))}"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = ((container.get("lastState") or {}).get("terminated")) or (container.get("state") or {}).get(
            "terminated"
        )
        if waiting.get("reason") in (None, "PodInitializing", "ContainerCreating") and not (ended or {}).get(
            "exitCode"
        ):
            continue
        where = f"{name}, container {container['name']}"
        why = waiting.get("reason") or "ended"
        said = (ended or {}).get("message") or waiting.get("message") or (ended or {}).get("reason") or ""
        if not container.get("ready"):
            yield f"{where} {why}: {_short(said)}"


def _short(text: str) -> str:
    """The end of a message on one line: that is where a log says what went wrong."""
    line = " ".join(str(text).split())
    return line if len(line) <= LENGTH else f"…{line[-LENGTH:]}"
