"""The ReplicaSet controller: as many pods of a template as asked for."""

from __future__ import annotations

import copy
import time

from sandbox.kube import clock
from sandbox.kube.controllers.controller import Controller, controlled, controller_of, owner_reference
from sandbox.kube.controllers.deletion import Deleter
from sandbox.kube.errors import ApiError
from sandbox.kube.node.podstatus import condition
from sandbox.kube.objects import kinds
from sandbox.kube.objects.admission import random_suffix
from sandbox.kube.objects.defaults import admit_pod, quality
from sandbox.kube.objects.events import Recorder
from sandbox.kube.objects.store import Change, Object, Store

CREATE_RETRY = 1.0


class ReplicaSets(Controller):
    """Creates and deletes pods, and counts them in the status."""

    def __init__(self, store: Store, recorder: Recorder, deleter: Deleter) -> None:
        super().__init__(store, recorder)
        self.deleter = deleter

    def changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == kinds.REPLICA_SET:
            self.enqueue((meta["namespace"], meta["name"]))
        elif change.kind == kinds.POD:
            owner = controller_of(change.object)
            if owner and owner["kind"] == "ReplicaSet":
                self.enqueue((meta["namespace"], owner["name"]))

    def sync(self, namespace: str, name: str) -> None:
        replica_set = self.store.find(kinds.REPLICA_SET, namespace, name)
        if replica_set is None:
            return
        failure = ""
        if "deletionTimestamp" not in replica_set["metadata"]:
            active = [pod for pod in controlled(self.store, kinds.POD, replica_set) if is_active(pod)]
            failure = self._scale(replica_set, active)
        self._write_status(namespace, name, failure)

    def _scale(self, replica_set: Object, active: list[Object]) -> str:
        """Create or delete pods; what went wrong, or ""."""
        missing = replica_set["spec"]["replicas"] - len(active)
        for _ in range(missing):
            try:
                pod = self.store.create(kinds.POD, self._pod(replica_set))
            except ApiError as error:
                self._event(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
                self.enqueue((replica_set["metadata"]["namespace"], replica_set["metadata"]["name"]), CREATE_RETRY)
                return str(error)
            self._event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        for pod in sorted(active, key=_dispensable)[: max(0, -missing)]:
            meta = pod["metadata"]
            self.deleter.delete(kinds.POD, meta["namespace"], meta["name"], {})
            self._event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")
        return ""

    def _pod(self, replica_set: Object) -> Object:
        meta, template = replica_set["metadata"], copy.deepcopy(replica_set["spec"]["template"])
        pod_meta = {
            **(template.get("metadata") or {}),
            "name": f"{meta['name']}-{random_suffix()}",
            "generateName": f"{meta['name']}-",
            "namespace": meta["namespace"],
            "ownerReferences": [owner_reference(replica_set)],
        }
        spec = template["spec"]
        admit_pod(spec)
        status = {"phase": "Pending", "qosClass": quality(spec)}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": spec, "status": status}

    def _event(self, replica_set: Object, type_: str, reason: str, message: str) -> None:
        self.recorder.record(replica_set, type_, reason, message, component="replicaset-controller")

    def _write_status(self, namespace: str, name: str, failure: str) -> None:
        current = self.store.find(kinds.REPLICA_SET, namespace, name)
        if current is None:
            return
        active = [pod for pod in controlled(self.store, kinds.POD, current) if is_active(pod)]
        settle = float(current["spec"].get("minReadySeconds", 0))
        waits = [wait for pod in active if (wait := seconds_to_available(pod, settle)) is not None]
        status: Object = {
            "replicas": len(active),
            "fullyLabeledReplicas": len(active),
            "readyReplicas": len(waits),
            "availableReplicas": sum(wait <= 0 for wait in waits),
            "observedGeneration": current["metadata"]["generation"],
        }
        if failure:
            former = (current.get("status") or {}).get("conditions", [])
            extra = {"reason": "FailedCreate", "message": failure}
            status["conditions"] = [condition(former, "ReplicaFailure", True, extra)]
        self.store.put(kinds.REPLICA_SET, {**current, "status": status})
        later = [wait for wait in waits if wait > 0]
        if later:
            self.enqueue((namespace, name), min(later))


def is_active(pod: Object) -> bool:
    """Whether a pod counts as a replica: not ended, not being deleted."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def ready_since(pod: Object) -> str | None:
    """When the pod became ready, or None when it is not."""
    for item in (pod.get("status") or {}).get("conditions", []):
        if item["type"] == "Ready" and item["status"] == "True":
            return str(item["lastTransitionTime"])
    return None


def seconds_to_available(pod: Object, settle: float) -> float | None:
    """How long until a pod has been ready for ``settle`` seconds (<= 0: it has); None when it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    return clock.parse(since) + settle - time.time() if settle else 0.0


def _dispensable(pod: Object) -> tuple[bool, bool, float]:
    """Sorts the pods to delete first: those without a phase beyond Pending, the unready, the newest."""
    running = (pod.get("status") or {}).get("phase") == "Running"
    return running, ready_since(pod) is not None, -clock.parse(pod["metadata"]["creationTimestamp"])
