"""The Deployment controller: ReplicaSets by template, rollouts, status."""

from __future__ import annotations

import copy
import time
from typing import Any

from sandbox.kube import clock
from sandbox.kube.controllers import rollout
from sandbox.kube.controllers.controller import Controller, controlled, controller_of, owner_reference, short_hash
from sandbox.kube.controllers.rollout import Replicas
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Change, Object

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


class Deployments(Controller):
    """Rolls Deployments out."""

    def changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == kinds.DEPLOYMENT:
            self.enqueue((meta["namespace"], meta["name"]))
        elif change.kind in (kinds.REPLICA_SET, kinds.POD):
            owner = controller_of(change.object)
            if change.kind == kinds.POD and owner and owner["kind"] == "ReplicaSet":
                # A Recreate waits for the last old pod, whose ReplicaSet has counted it out already.
                replica_set = self.store.find(kinds.REPLICA_SET, meta["namespace"], owner["name"])
                owner = controller_of(replica_set) if replica_set else None
            if owner and owner["kind"] == "Deployment":
                self.enqueue((meta["namespace"], owner["name"]))

    def sync(self, namespace: str, name: str) -> None:
        deployment = self.store.find(kinds.DEPLOYMENT, namespace, name)
        if deployment is None or "deletionTimestamp" in deployment["metadata"]:
            return
        new, old = self._replica_sets(deployment)
        created = new is None
        if new is None:
            new = self._create(deployment, old)
        self._number(deployment, new, old)
        new, old = self._replica_sets(deployment)
        assert new is not None
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            self._recreate(deployment, new, old)
        else:
            self._roll(deployment, new, old)
        self._forget(deployment, old)
        self._write_status(deployment, created)

    def _replica_sets(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the present template, if there is one, and the others, oldest first."""
        found = controlled(self.store, kinds.REPLICA_SET, deployment)
        found.sort(key=lambda item: int(item["metadata"].get("annotations", {}).get(REVISION, 0)))
        template = deployment["spec"]["template"]
        new = next((item for item in found if _without_hash(item["spec"]["template"]) == template), None)
        return new, [item for item in found if item is not new]

    def _create(self, deployment: Object, old: list[Object]) -> Object:
        meta, spec = deployment["metadata"], deployment["spec"]
        template = copy.deepcopy(spec["template"])
        digest = short_hash(template)
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[HASH] = digest
        selector = copy.deepcopy(spec["selector"])
        selector.setdefault("matchLabels", {})[HASH] = digest
        name = f"{meta['name']}-{digest}"
        replica_set = self.store.create(
            kinds.REPLICA_SET,
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "labels": dict(labels),
                    "annotations": dict(meta.get("annotations") or {}),
                    "ownerReferences": [owner_reference(deployment)],
                },
                "spec": {
                    "replicas": 0,
                    "selector": selector,
                    "template": template,
                    "minReadySeconds": spec.get("minReadySeconds", 0),
                },
                "status": {"replicas": 0, "observedGeneration": 0},
            },
        )
        self._event(deployment, "Normal", "NewReplicaSet", f"Created replica set {name} beside {len(old)} older")
        return replica_set

    def _number(self, deployment: Object, new: Object, old: list[Object]) -> None:
        """Give the new ReplicaSet the highest revision, also when it is an old one that came back."""
        highest = max((int(item["metadata"]["annotations"].get(REVISION, 0)) for item in old), default=0)
        current = int(new["metadata"].get("annotations", {}).get(REVISION, 0))
        revision = str(current if current > highest else highest + 1)

        def note(obj: Object) -> None:
            obj["metadata"].setdefault("annotations", {})[REVISION] = revision
            if obj["kind"] == "ReplicaSet":
                obj["spec"]["minReadySeconds"] = deployment["spec"].get("minReadySeconds", 0)

        meta = deployment["metadata"]
        self.store.modify(kinds.REPLICA_SET, meta["namespace"], new["metadata"]["name"], note)
        self.store.modify(kinds.DEPLOYMENT, meta["namespace"], meta["name"], note)

    def _roll(self, deployment: Object, new: Object, old: list[Object]) -> None:
        desired, rolling = deployment["spec"]["replicas"], deployment["spec"]["strategy"]["rollingUpdate"]
        surge, unavailable = rollout.limits(desired, rolling["maxSurge"], rolling["maxUnavailable"])
        counts = [_counts(item) for item in old]
        wanted = rollout.grow(_counts(new), counts, desired, surge)
        self._scale(deployment, new, wanted)
        state = Replicas(wanted, min(wanted, _counts(new).available))
        for item, left in zip(old, rollout.shrink(state, counts, desired, unavailable), strict=True):
            self._scale(deployment, item, left)

    def _recreate(self, deployment: Object, new: Object, old: list[Object]) -> None:
        for item in old:
            self._scale(deployment, item, 0)
        # Pods that are still ending count: two versions never run at once.
        if not any(_unfinished(pod) for item in old for pod in controlled(self.store, kinds.POD, item)):
            self._scale(deployment, new, deployment["spec"]["replicas"])

    def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> None:
        meta, former = replica_set["metadata"], replica_set["spec"]["replicas"]
        if former == replicas:
            return
        self.store.modify(
            kinds.REPLICA_SET, meta["namespace"], meta["name"], lambda obj: obj["spec"].update(replicas=replicas)
        )
        way = "up" if replicas > former else "down"
        text = f"Scaled {way} replica set {meta['name']} from {former} to {replicas}"
        self._event(deployment, "Normal", "ScalingReplicaSet", text)

    def _forget(self, deployment: Object, old: list[Object]) -> None:
        idle = [item for item in old if not item["spec"]["replicas"] and not (item.get("status") or {}).get("replicas")]
        for item in idle[: max(0, len(idle) - deployment["spec"]["revisionHistoryLimit"])]:
            self.store.remove(kinds.REPLICA_SET, item["metadata"]["namespace"], item["metadata"]["name"])

    def _event(self, deployment: Object, type_: str, reason: str, message: str) -> None:
        self.recorder.record(deployment, type_, reason, message, component="deployment-controller")

    def _write_status(self, deployment: Object, created: bool) -> None:
        meta = deployment["metadata"]
        current = self.store.get(kinds.DEPLOYMENT, meta["namespace"], meta["name"])
        new, old = self._replica_sets(current)
        if new is None:
            return
        former = current.get("status") or {}
        every = [(item.get("status") or {}) for item in (new, *old)]
        total = {
            field: sum(s.get(field, 0) for s in every) for field in ("replicas", "readyReplicas", "availableReplicas")
        }
        desired = current["spec"]["replicas"]
        status: Object = {
            "observedGeneration": current["metadata"]["generation"],
            **total,
            "updatedReplicas": (new.get("status") or {}).get("replicas", 0),
            "unavailableReplicas": max(0, sum(i["spec"]["replicas"] for i in (new, *old)) - total["availableReplicas"]),
        }
        conditions = former.get("conditions", [])
        status["conditions"] = [
            _available(conditions, current, total["availableReplicas"]),
            self._progressing(conditions, current, new, former, status, created),
        ]
        if desired == 0 and not total["replicas"]:
            status["unavailableReplicas"] = 0
        if "collisionCount" in former:
            status["collisionCount"] = former["collisionCount"]
        # As in a Go type, a count of nothing is left out.
        self.store.put(kinds.DEPLOYMENT, {**current, "status": {key: value for key, value in status.items() if value}})

    def _progressing(
        self, conditions: list[Object], deployment: Object, new: Object, former: Object, status: Object, created: bool
    ) -> Object:
        meta, name = deployment["metadata"], new["metadata"]["name"]
        desired = deployment["spec"]["replicas"]
        old = next((c for c in conditions if c["type"] == "Progressing"), None)
        complete = all(status[field] == desired for field in ("updatedReplicas", "replicas", "availableReplicas"))
        if complete:
            text = f'ReplicaSet "{name}" has successfully progressed.'
            return _condition(old, "Progressing", True, "NewReplicaSetAvailable", text, fresh=False)
        if created or old is None:
            text = f'Created new replica set "{name}"'
            result = _condition(old, "Progressing", True, "NewReplicaSetCreated", text, fresh=True)
        elif _moved(former, status) or former.get("observedGeneration") != status["observedGeneration"]:
            text = f'ReplicaSet "{name}" is progressing.'
            result = _condition(old, "Progressing", True, "ReplicaSetUpdated", text, fresh=True)
        else:
            result = old
        # A rollout that had been complete does not fail because a pod of it did.
        if result["reason"] in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
            return result
        left = clock.parse(result["lastUpdateTime"]) + deployment["spec"]["progressDeadlineSeconds"] - time.time()
        if left > 0:
            self.enqueue((meta["namespace"], meta["name"]), left + 0.1)
            return result
        text = f'ReplicaSet "{name}" has timed out progressing.'
        return _condition(old, "Progressing", False, "ProgressDeadlineExceeded", text, fresh=True)


def _counts(replica_set: Object) -> Replicas:
    return Replicas(replica_set["spec"]["replicas"], (replica_set.get("status") or {}).get("availableReplicas", 0))


def _unfinished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _without_hash(template: Object) -> Object:
    meta = template["metadata"]
    labels = {key: value for key, value in meta["labels"].items() if key != HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def _moved(former: Object, status: Object) -> bool:
    """Whether a rollout came further since the former status."""
    rises = ("updatedReplicas", "readyReplicas", "availableReplicas")
    older = former.get("replicas", 0) - former.get("updatedReplicas", 0)
    return any(status[field] > former.get(field, 0) for field in rises) or (
        status["replicas"] - status["updatedReplicas"] < older
    )


def _available(conditions: list[Object], deployment: Object, available: int) -> Object:
    desired, strategy = deployment["spec"]["replicas"], deployment["spec"]["strategy"]
    unavailable = 0
    if strategy["type"] == "RollingUpdate":
        rolling = strategy["rollingUpdate"]
        unavailable = rollout.limits(desired, rolling["maxSurge"], rolling["maxUnavailable"])[1]
    enough = available >= desired - unavailable
    old = next((c for c in conditions if c["type"] == "Available"), None)
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    text = f"Deployment {'has' if enough else 'does not have'} minimum availability."
    return _condition(old, "Available", enough, reason, text, fresh=False)


def _condition(old: Object | None, name: str, value: bool, reason: str, message: str, *, fresh: bool) -> Object:
    """A deployment condition. ``fresh``: its update time is now even when it says the same as before."""
    now = clock.now()
    result: dict[str, Any] = {"type": name, "status": str(value), "reason": reason, "message": message}
    same = old is not None and all(old[field] == result[field] for field in ("status", "reason", "message"))
    result["lastUpdateTime"] = old["lastUpdateTime"] if old and same and not fresh else now
    result["lastTransitionTime"] = old["lastTransitionTime"] if old and old["status"] == result["status"] else now
    return result
