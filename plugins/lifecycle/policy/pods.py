"""Why pods are not ready, in the words that their containers and the kubelet gave."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lifecycle.model.names import ASSEMBLE_CONTAINER, SOURCE_CONTAINER

MESSAGE_LIMIT = 600
# A node that is being added, or a pod that is ending, needs a moment.
UNSCHEDULED_SECONDS = 60.0
# A server that waits for MLflow does not end, so one that ended as often as this does not come up by waiting.
RESTART_LIMIT = 3
# Init containers of charts/triton whose failure another try only repeats: what they want was fetched, or is not there.
LAYING_OUT = (ASSEMBLE_CONTAINER, SOURCE_CONTAINER)


def pod_troubles(pods: list[dict[str, Any]]) -> str:
    """Return one sentence a reason over all pods that are not ready, or an empty string.

    Args:
        pods: pod objects as the API gives them (camelCase).
    """
    sentences: list[str] = []
    for pod in pods:
        for sentence in _troubles(pod):
            if sentence not in sentences:
                sentences.append(sentence)
    return "; ".join(sentences)


def crash_looping(pods: list[dict[str, Any]], limit: int = RESTART_LIMIT) -> str:
    """Return which pods' servers have ended with an error and been restarted `limit` times; empty: none.

    Of the init containers only the one that lays out what was fetched counts: what another could not fetch may be there
    the next time, and what is missing in what it fetched is missing again.

    Args:
        pods: pod objects of one version, as the API gives them (camelCase).
        limit: how often.
    """
    counts = {
        pod["metadata"]["name"]: max(
            (_failed_restarts(container) for container in _servers(pod.get("status", {}))),
            default=0,
        )
        for pod in pods
    }
    return ", ".join(f"{name} ({count} restarts)" for name, count in counts.items() if count >= limit)


def _servers(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statuses of the server and of what lays out its model folder."""
    yield from status.get("containerStatuses") or []
    yield from (each for each in status.get("initContainerStatuses") or [] if each["name"] in LAYING_OUT)


def not_fitting(pods: list[dict[str, Any]], now: float) -> str:
    """Return which pods no node has had room for in the last minute, and what they ask; empty: none.

    Args:
        pods: pod objects as the API gives them (camelCase).
        now: seconds since the epoch.
    """
    return "; ".join(text for pod in pods if (text := _not_fitting(pod, now)))


def _not_fitting(pod: dict[str, Any], now: float) -> str:
    for condition in pod.get("status", {}).get("conditions") or []:
        unscheduled = (condition["type"], condition["status"]) == ("PodScheduled", "False")
        if unscheduled and condition.get("reason") == "Unschedulable":
            since = condition.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp")
            if since and now - datetime.fromisoformat(since).timestamp() < UNSCHEDULED_SECONDS:
                return ""
            said = short(condition.get("message", "")).rstrip(".")
            return (
                f"pod {pod['metadata']['name']} does not fit: it asks {requested(pod)}, and the scheduler says: {said}"
            )
    return ""


def requested(pod: dict[str, Any]) -> str:
    """What a pod asks of a node, in words: `1 CPU, 2Gi memory, 1 nvidia.com/gpu`."""
    asked: dict[str, list[str]] = {}
    for container in pod["spec"].get("containers") or []:
        for name, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            asked.setdefault(name, []).append(str(amount))
    words = {"cpu": "CPU"}
    return ", ".join(f"{' + '.join(amounts)} {words.get(name, name)}" for name, amounts in asked.items()) or "nothing"


def _failed_restarts(container: dict[str, Any]) -> int:
    ended = [(container.get(state) or {}).get("terminated") or {} for state in ("state", "lastState")]
    failed = any(terminated.get("exitCode") for terminated in ended)
    return int(container.get("restartCount", 0)) if failed and not container.get("ready") else 0


def _troubles(pod: dict[str, Any]) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"pod {name} is not scheduled ({scheduled.get('reason', '')}: {short(scheduled.get('message', ''))})"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    reasons = [text for container in containers if (text := _container_trouble(name, container))]
    yield from reasons
    if not reasons and scheduled.get("status") != "False":
        if status.get("reason") or status.get("message"):
            yield f"pod {name}: {status.get('reason', '')} {short(status.get('message', ''))}".rstrip()
        elif containers:
            yield f"pod {name} runs but does not become ready"
        else:
            yield f"pod {name} is {status.get('phase', 'Pending')}"


def _container_trouble(pod: str, container: dict[str, Any]) -> str:
    state = container.get("state", {})
    waiting, now = state.get("waiting") or {}, state.get("terminated") or {}
    last = (container.get("lastState") or {}).get("terminated") or {}
    where = f"pod {pod}, container {container['name']}"
    if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
        said = f"it {_ended(last)}" if last else short(waiting.get("message", ""))
        return f"{where} waits ({waiting['reason']}){f': {said}' if said else ''}"
    if now.get("exitCode"):
        return f"{where} {_ended(now)}"
    if last.get("exitCode"):
        return f"{where} was restarted {container.get('restartCount', 1)} times; it {_ended(last)}"
    return ""


def _ended(terminated: dict[str, Any]) -> str:
    said = short(terminated.get("message") or terminated.get("reason") or "").removesuffix(".")
    return f"ended with exit code {terminated.get('exitCode')}{f': {said}' if said else ''}"


def short(text: str) -> str:
    """The end of a message, which is where a log says what went wrong, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_LIMIT else f"…{line[-MESSAGE_LIMIT:]}"
