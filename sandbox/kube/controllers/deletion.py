"""Deletion: graceful for pods, held by finalizers, cascading to what an object owns, and emptying a namespace."""

from __future__ import annotations

import time
from typing import Any

from sandbox.kube import clock
from sandbox.kube.errors import conflict, invalid
from sandbox.kube.objects import kinds
from sandbox.kube.objects.kinds import Kind
from sandbox.kube.objects.store import Change, Object, Store

FOREGROUND = "foregroundDeletion"
_PROPAGATION = ("Background", "Foreground", "Orphan")


class Deleter:
    """Deletes objects as the API server and the garbage collector do together."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.listen(self._changed)

    def delete(self, kind: Kind, namespace: str, name: str, options: dict[str, Any]) -> Object:
        """Begin (and often finish) a deletion; the object as it is now. Raises ApiError 404, 409 or 422."""
        obj = self.store.get(kind, namespace, name)
        meta = obj["metadata"]
        for field, called in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted = (options.get("preconditions") or {}).get(field)
            if wanted and wanted != meta[field]:
                text = (
                    f"Precondition failed: {called} in precondition: {wanted}, {called} in object meta: {meta[field]}"
                )
                raise conflict(kind.plural, kind.group, name, text)
        propagation = options.get("propagationPolicy") or "Background"
        if propagation not in _PROPAGATION:
            supported = ", ".join(f'"{each}"' for each in _PROPAGATION)
            text = f'Unsupported value: "{propagation}": supported values: {supported}'
            raise invalid("DeleteOptions", "meta.k8s.io", "", [("propagationPolicy", text)])
        if options.get("dryRun"):
            return obj
        grace = options.get("gracePeriodSeconds")
        if kind == kinds.POD:
            return self._pod(obj, grace)
        if kind == kinds.NAMESPACE:
            return self._namespace(obj)
        if propagation == "Orphan":
            self._orphan(meta["uid"])
        if propagation == "Foreground" and self._dependents(meta["uid"]):
            obj = self._mark(kind, obj, 0, [*meta.get("finalizers", []), FOREGROUND])
            self._cascade(meta["uid"])
            return obj
        if meta.get("finalizers"):
            return self._mark(kind, obj, 0, meta["finalizers"])
        return self.store.remove(kind, namespace, name)

    def _pod(self, obj: Object, grace: int | None) -> Object:
        meta = obj["metadata"]
        if grace is None:
            grace = int(obj["spec"].get("terminationGracePeriodSeconds", 30))
        if grace == 0 and not meta.get("finalizers"):
            return self.store.remove(kinds.POD, meta["namespace"], meta["name"])
        if "deletionTimestamp" in meta and grace >= meta.get("deletionGracePeriodSeconds", 0):
            return obj
        return self._mark(kinds.POD, obj, grace, meta.get("finalizers", []), again=True)

    def _mark(self, kind: Kind, obj: Object, grace: int, finalizers: list[str], *, again: bool = False) -> Object:
        def mark(copy: Object) -> None:
            meta = copy["metadata"]
            if again or "deletionTimestamp" not in meta:
                meta["deletionTimestamp"] = clock.stamp(time.time() + grace)
                meta["deletionGracePeriodSeconds"] = grace
            if finalizers:
                meta["finalizers"] = finalizers

        meta = obj["metadata"]
        return self.store.modify(kind, meta.get("namespace", ""), meta["name"], mark)

    def _namespace(self, obj: Object) -> Object:
        name = obj["metadata"]["name"]

        def terminate(copy: Object) -> None:
            copy["metadata"].setdefault("deletionTimestamp", clock.now())
            copy["status"] = {"phase": "Terminating"}

        obj = self.store.modify(kinds.NAMESPACE, "", name, terminate)
        for kind, item in self.store.everything(name):
            # What an owner deletes is left to it, unless it is gone by now.
            if self.store.find(kind, name, item["metadata"]["name"]):
                self.delete(kind, name, item["metadata"]["name"], {})
        self._finish_namespace(name)
        return obj

    def _finish_namespace(self, name: str) -> None:
        namespace = self.store.find(kinds.NAMESPACE, "", name)
        if not namespace or "deletionTimestamp" not in namespace["metadata"]:
            return
        left = [(kind, item) for kind, item in self.store.everything(name) if kind != kinds.EVENT]
        if left:
            return
        for _, event in self.store.everything(name):
            self.store.remove(kinds.EVENT, name, event["metadata"]["name"])
        self.store.remove(kinds.NAMESPACE, "", name)

    def _dependents(self, uid: str) -> list[tuple[Kind, Object]]:
        return [
            (kind, item)
            for kind, item in self.store.everything()
            if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", []))
        ]

    def _cascade(self, uid: str) -> None:
        for kind, item in self._dependents(uid):
            meta = item["metadata"]
            if self.store.find(kind, meta.get("namespace", ""), meta["name"]) and "deletionTimestamp" not in meta:
                self.delete(kind, meta.get("namespace", ""), meta["name"], {})

    def _orphan(self, uid: str) -> None:
        def disown(copy: Object) -> None:
            meta = copy["metadata"]
            meta["ownerReferences"] = [owner for owner in meta["ownerReferences"] if owner["uid"] != uid]

        for kind, item in self._dependents(uid):
            self.store.modify(kind, item["metadata"].get("namespace", ""), item["metadata"]["name"], disown)

    def _changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        if change.type == "DELETED":
            self._cascade(meta["uid"])
            for owner in meta.get("ownerReferences", []):
                self._release_owner(owner["uid"])
            if change.kind != kinds.EVENT and namespace:
                self._finish_namespace(namespace)
        elif "deletionTimestamp" in meta and not meta.get("finalizers") and change.kind not in (
            kinds.POD, kinds.NAMESPACE,
        ) and self.store.find(change.kind, namespace, name):  # fmt: skip
            self.store.remove(change.kind, namespace, name)

    def _release_owner(self, uid: str) -> None:
        """Let a foreground deletion finish once the last dependent is gone."""
        if self._dependents(uid):
            return
        for kind, item in self.store.everything():
            meta = item["metadata"]
            if meta["uid"] == uid and FOREGROUND in meta.get("finalizers", []):
                self.store.modify(kind, meta.get("namespace", ""), meta["name"], _drop_foreground)


def _drop_foreground(obj: Object) -> None:
    obj["metadata"]["finalizers"] = [name for name in obj["metadata"]["finalizers"] if name != FOREGROUND]
