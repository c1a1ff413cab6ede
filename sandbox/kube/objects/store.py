"""The objects, in memory, with resource versions and the history that watches replay.

Objects that the store hands out are shared: nobody changes them in place; a writer builds a new object and puts it.
Everything here is synchronous and runs in the event loop, so each call is atomic.
"""

from __future__ import annotations

import asyncio
import builtins
import copy
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.kube import clock
from sandbox.kube.errors import already_exists, conflict, not_found
from sandbox.kube.objects.kinds import Kind

Object = dict[str, Any]
HISTORY = 20_000


@dataclass(frozen=True)
class Change:
    """One write. ``former`` is the object before it (None when created)."""

    type: str
    kind: Kind
    object: Object
    former: Object | None
    version: int


Listener = Callable[[Change], None]


class Store:
    """All objects of the cluster."""

    def __init__(self) -> None:
        # Versions start at the clock, so that a client's version from before a restart is older than this server's.
        self.version = int(time.time() * 1000)
        self.oldest = self.version
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {}
        self._history: deque[Change] = deque()
        self._untold: deque[Change] = deque()
        self._listeners: builtins.list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after every write; returns the function that ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def since(self, version: int) -> builtins.list[Change]:
        """The changes after ``version``, oldest first. The caller has checked that version >= oldest."""
        return [change for change in self._history if change.version > version]

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._objects.get(kind, {}).get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object; raises ApiError 404."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(kind.plural, kind.group, name)
        return found

    def list(self, kind: Kind, namespace: str | None = None) -> builtins.list[Object]:
        """All objects of a kind (in one namespace, or everywhere for None), by namespace and name."""
        objects = self._objects.get(kind, {})
        return [objects[key] for key in sorted(objects) if namespace is None or key[0] == namespace]

    def everything(self, namespace: str | None = None) -> builtins.list[tuple[Kind, Object]]:
        """Every object of every kind, for garbage collection."""
        return [(kind, item) for kind in list(self._objects) for item in self.list(kind, namespace)]

    def create(self, kind: Kind, obj: Object) -> Object:
        """Add an object whose metadata has a name; fills in uid, times and versions. Raises ApiError 409."""
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        key = (meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        if key in self._objects.get(kind, {}):
            raise already_exists(kind.plural, kind.group, meta["name"])
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = clock.now()
        meta.pop("generation", None)
        if kind.counted:
            meta["generation"] = 1
        return self._write("ADDED", kind, key, obj, None)

    def put(self, kind: Kind, obj: Object) -> Object:
        """Replace an object; a ``resourceVersion`` in it must be the current one. No change, no write."""
        meta = obj["metadata"]
        key = (meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        former = self.get(kind, *key)
        if meta.get("resourceVersion") not in (None, "", former["metadata"]["resourceVersion"]):
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(kind.plural, kind.group, meta["name"], why)
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        meta.pop("generation", None)
        for field in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            if field in former["metadata"]:
                meta[field] = former["metadata"][field]
        if obj == former:
            return former
        if kind.counted and _desired(kind, obj) != _desired(kind, former):
            meta["generation"] += 1
        return self._write("MODIFIED", kind, key, obj, former)

    def modify(self, kind: Kind, namespace: str, name: str, change: Callable[[Object], None]) -> Object:
        """Apply ``change`` to a copy of the current object and put it. Raises ApiError 404."""
        obj = copy.deepcopy(self.get(kind, namespace, name))
        change(obj)
        return self.put(kind, obj)

    def remove(self, kind: Kind, namespace: str, name: str) -> Object:
        """Take an object out at once; graceful deletion is deletion.py's task."""
        former = self.get(kind, namespace, name)
        gone = copy.deepcopy(former)
        return self._write("DELETED", kind, (namespace if kind.namespaced else "", name), gone, former)

    def _write(self, type_: str, kind: Kind, key: tuple[str, str], obj: Object, former: Object | None) -> Object:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        objects = self._objects.setdefault(kind, {})
        if type_ == "DELETED":
            del objects[key]
        else:
            objects[key] = obj
        change = Change(type_, kind, obj, former, self.version)
        self._history.append(change)
        while len(self._history) > HISTORY:
            self.oldest = self._history.popleft().version
        self._notify(change)
        return obj

    def _notify(self, change: Change) -> None:
        """Tell every listener, in the order of the writes even where a listener writes itself."""
        self._untold.append(change)
        if len(self._untold) > 1:
            return
        while self._untold:
            for listener in list(self._listeners):
                try:
                    listener(self._untold[0])
                except Exception as error:
                    # The write has happened; the others must hear of it. The loop's handler prints the traceback.
                    context = {"message": "a listener of the store failed; this is a bug", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)
            self._untold.popleft()


def _desired(kind: Kind, obj: Object) -> Object:
    """What its generation counts: all but metadata and a status that a subresource writes, and that it shall end."""
    apart = ("metadata", "status") if kind.status or not kind.custom else ("metadata",)
    desired = {key: value for key, value in obj.items() if key not in apart}
    return {**desired, "ending": "deletionTimestamp" in obj["metadata"]}
