"""What the controllers have in common: a queue of object keys, each reconciled soon after a change about it."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from hashlib import sha256

from sandbox.kube.objects.admission import ALPHABET
from sandbox.kube.objects.events import Recorder
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Change, Object, Store

Key = tuple[str, str]


class Controller(ABC):
    """Calls ``sync(namespace, name)`` once for any number of changes that happen together.

    ``sync`` is synchronous, so it sees one state of the store. Derived classes enqueue keys from ``changed``.
    """

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self.store = store
        self.recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._closed = False
        store.listen(self.changed)

    @abstractmethod
    def changed(self, change: Change) -> None:
        """See whether a change concerns an object of this controller."""

    @abstractmethod
    def sync(self, namespace: str, name: str) -> None:
        """Bring the world closer to what one object asks for."""

    def enqueue(self, key: Key, delay: float = 0.0) -> None:
        """Have ``key`` reconciled after ``delay`` seconds, or sooner when it is already queued for sooner."""
        when = self._loop.time() + delay
        timer = self._timers.get(key)
        if self._closed or (timer and timer.when() <= when):
            return
        if timer:
            timer.cancel()
        self._timers[key] = self._loop.call_at(when, self._run, key)

    def _run(self, key: Key) -> None:
        del self._timers[key]
        self.sync(*key)

    def close(self) -> None:
        """Reconcile nothing any more."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()


def controller_of(obj: Object) -> Object | None:
    """The owner reference of an object's controller."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", []) if ref.get("controller")), None)


def controlled(store: Store, kind: Kind, owner: Object) -> list[Object]:
    """The objects of a kind that ``owner`` controls."""
    meta = owner["metadata"]
    found = []
    for obj in store.list(kind, meta["namespace"]):
        reference = controller_of(obj)
        if reference and reference["uid"] == meta["uid"]:
            found.append(obj)
    return found


def owner_reference(obj: Object) -> Object:
    """What a controlled object says about its controller."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def short_hash(value: object, length: int = 10) -> str:
    """A digest of a JSON value in the alphabet of Kubernetes' generated names."""
    digest = int.from_bytes(sha256(json.dumps(value, sort_keys=True).encode()).digest()[:16])
    letters = []
    for _ in range(length):
        digest, index = divmod(digest, len(ALPHABET))
        letters.append(ALPHABET[index])
    return "".join(letters)
