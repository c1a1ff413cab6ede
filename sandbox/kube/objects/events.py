"""Event objects, so that ``kubectl describe`` and ``kubectl get events`` say what happened to an object."""

from __future__ import annotations

from collections import deque
from typing import Any

from sandbox.kube import clock
from sandbox.kube.objects import kinds
from sandbox.kube.objects.admission import random_suffix
from sandbox.kube.objects.store import Object, Store

KEPT = 1000


class Recorder:
    """Writes events. The same event again raises its count; the oldest go when there are too many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[tuple[str, ...], tuple[str, str]] = {}
        self._order: deque[tuple[str, ...]] = deque()

    def record(self, obj: Object, type_: str, reason: str, message: str, *, component: str, field: str = "") -> None:
        """One occurrence. ``type_`` is Normal or Warning; ``field`` the part of the object, such as a container."""
        meta = obj["metadata"]
        key = (meta["uid"], type_, reason, message, field)
        known = self._names.get(key)
        if known and self._store.find(kinds.EVENT, *known):
            self._store.modify(kinds.EVENT, *known, _again)
            return
        namespace = meta.get("namespace") or "default"
        name = f"{meta['name']}.{random_suffix(16)}"
        involved: dict[str, Any] = {
            "kind": obj["kind"],
            "apiVersion": obj["apiVersion"],
            "namespace": namespace,
            "name": meta["name"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        if field:
            involved["fieldPath"] = field
        now = clock.now()
        self._store.create(
            kinds.EVENT,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": involved,
                "type": type_,
                "reason": reason,
                "message": message,
                "source": {"component": component, "host": "sandbox"},
                "reportingComponent": component,
                "reportingInstance": "sandbox",
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            },
        )
        self._names[key] = (namespace, name)
        self._order.append(key)
        while len(self._order) > KEPT:
            old = self._names.pop(self._order.popleft(), None)
            if old and self._store.find(kinds.EVENT, *old):
                self._store.remove(kinds.EVENT, *old)


def _again(event: Object) -> None:
    event["count"] = event.get("count", 1) + 1
    event["lastTimestamp"] = clock.now()
