"""The one node: starts a pod for every Pod object, ends it when the object is deleted, and keeps logs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.kube import clock
from sandbox.kube.errors import ApiError, not_found
from sandbox.kube.node.container import Container
from sandbox.kube.node.images import Images
from sandbox.kube.node.network import Network
from sandbox.kube.node.pod import Pod
from sandbox.kube.node.scheduler import Scheduler
from sandbox.kube.node.volumes import remove_claim
from sandbox.kube.objects import kinds
from sandbox.kube.objects.events import Recorder
from sandbox.kube.objects.store import Change, Object, Store

LOGS_KEPT = 200
SHUTDOWN_GRACE = 3.0
# How soon a pod that has no room is looked at again.
SCHEDULE_RETRY = 0.5


class Kubelet:
    """The node agent and, since there is one node, the scheduler."""

    def __init__(
        self, store: Store, recorder: Recorder, network: Network, images: Images, root: Path, backoff: float
    ) -> None:
        self.store = store
        self.recorder = recorder
        self.network = network
        self.scheduler = Scheduler(store)
        self.images = images
        self.root = root
        self.claims = root / "volumes"
        self.backoff = backoff
        self.http = aiohttp.ClientSession()
        self.pods: dict[str, Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._started: dict[str, asyncio.Event] = {}
        # Folders of pods from before a restart: their processes ended with the former kubelet.
        shutil.rmtree(root / "pods", ignore_errors=True)
        _forget_old_logs(root / "logs")
        store.listen(self._changed)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that is reported when it fails, and cancelled when the kubelet closes."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            context = {"message": "a pod's task failed; this is a bug of the sandbox", "exception": task.exception()}
            asyncio.get_running_loop().call_exception_handler(context)

    def _changed(self, change: Change) -> None:
        meta = change.object["metadata"]
        if change.kind == kinds.CLAIM and change.type == "DELETED":
            remove_claim(self.claims, meta["namespace"], meta["name"])
        if change.kind == kinds.CLAIM and change.type == "ADDED":
            self.spawn(self._bind(change.object))
        if change.kind != kinds.POD:
            return
        if change.type == "ADDED" and not self._closing:
            self.spawn(self._start(change.object))
        elif change.type == "DELETED":
            self.spawn(self._end(meta["uid"], 0))
        elif "deletionTimestamp" in meta and change.former is not None:
            before = change.former["metadata"].get("deletionTimestamp")
            if before != meta["deletionTimestamp"]:
                self.spawn(self._end(meta["uid"], meta.get("deletionGracePeriodSeconds", 30)))

    async def _bind(self, claim: Object) -> None:
        meta = claim["metadata"]
        if self.store.find(kinds.CLAIM, meta["namespace"], meta["name"]):
            self.store.modify(kinds.CLAIM, meta["namespace"], meta["name"], _bound)

    async def _room(self, obj: Object) -> None:
        """Wait until the node has room for a pod, which says meanwhile what is lacking."""
        meta, said = obj["metadata"], ""
        while not self._gone(obj) and (lacks := self.scheduler.lacks(obj)):
            message = f"0/1 nodes are available: {', '.join(f'1 Insufficient {name}' for name in lacks)}."
            if message != said:
                self.recorder.record(obj, "Warning", "FailedScheduling", message, component="default-scheduler")
                self.store.modify(kinds.POD, meta["namespace"], meta["name"], partial(_unscheduled, message))
                said = message
            await asyncio.sleep(SCHEDULE_RETRY)

    async def _start(self, obj: Object) -> None:
        await self._room(obj)
        if self._gone(obj):
            return
        address = self.network.pod()
        while address is None:
            self.recorder.record(
                obj, "Warning", "FailedScheduling", "all 200 pod addresses are in use", component="default-scheduler"
            )
            await asyncio.sleep(2)
            if self._gone(obj):
                return
            address = self.network.pod()
        meta = obj["metadata"]
        if self._gone(obj):
            self.network.release_pod(address)
            return
        text = f"Successfully assigned {meta['namespace']}/{meta['name']} to sandbox"
        self.recorder.record(obj, "Normal", "Scheduled", text, component="default-scheduler")
        obj = self.store.put(kinds.POD, {**self.store.get(kinds.POD, meta["namespace"], meta["name"]),
                                         "spec": {**obj["spec"], "nodeName": "sandbox"}})  # fmt: skip
        pod = Pod(self, obj, address)
        self.pods[pod.uid] = pod
        try:
            await pod.run()
        finally:
            # At the end, not at deletion: a finished pod is kept as a record for as long as its owner likes.
            self.network.release_pod(address)
            pod.finished.set()

    def _gone(self, obj: Object) -> bool:
        meta = obj["metadata"]
        current = self.store.find(kinds.POD, meta["namespace"], meta["name"])
        return (
            current is None or current["metadata"]["uid"] != meta["uid"] or "deletionTimestamp" in current["metadata"]
        )

    async def _end(self, uid: str, grace: float) -> None:
        pod = self.pods.get(uid)
        if pod:
            again = pod.stopping
            await pod.stop(grace)
            await pod.finished.wait()
            if again and grace > 0:
                return
        self._remove(uid, pod)
        if pod and uid in self.pods:
            del self.pods[uid]
            await asyncio.to_thread(pod.clean)

    def _remove(self, uid: str, pod: Pod | None) -> None:
        for obj in self.store.list(kinds.POD):
            meta = obj["metadata"]
            if meta["uid"] == uid and "deletionTimestamp" in meta and not meta.get("finalizers"):
                if pod:
                    pod.publish()
                self.store.remove(kinds.POD, meta["namespace"], meta["name"])

    async def started(self, uid: str, limit: float) -> None:
        """Wait until a pod left Pending or cannot (yet), at most ``limit`` seconds."""
        try:
            async with asyncio.timeout(limit):
                await self._started.setdefault(uid, asyncio.Event()).wait()
        except TimeoutError:
            return
        finally:
            self._started.pop(uid, None)

    def left_pending(self, uid: str) -> None:
        """A pod runs, or says why it cannot."""
        if uid in self._started:
            self._started[uid].set()

    def container(self, obj: Object, name: str | None) -> Container:
        """A container of a pod, the only one when no name is given. Raises ApiError 400 or 404."""
        meta = obj["metadata"]
        pod = self.pods.get(meta["uid"])
        if pod is None:
            raise not_found("pods", "", meta["name"])
        if not name:
            if len(pod.mains) > 1:
                names = " ".join(container.name for container in pod.mains)
                raise ApiError(400, f"a container name must be specified for pod {pod.name}, choose one of: [{names}]")
            return pod.mains[0]
        found = next((container for container in pod.containers if container.name == name), None)
        if found is None:
            raise ApiError(400, f"container {name} is not valid for pod {pod.name}")
        return found

    async def close(self) -> None:
        """End every container, with a short grace and without preStop hooks."""
        self._closing = True
        pods = list(self.pods.values())
        await asyncio.gather(*(pod.stop(SHUTDOWN_GRACE, hooks=False) for pod in pods))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pod in pods:
            pod.clean()
        await self.http.close()


def _unscheduled(message: str, pod: Object) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    former = next(iter((pod.get("status") or {}).get("conditions") or []), {})
    since = former.get("lastTransitionTime") or clock.now()
    pod["status"] = {**(pod.get("status") or {}), "conditions": [{**condition, "lastTransitionTime": since}]}


def _bound(claim: Object) -> None:
    spec = claim["spec"]
    spec.setdefault("volumeName", f"pvc-{claim['metadata']['uid']}")
    storage = (spec.get("resources") or {}).get("requests", {}).get("storage", "0")
    claim["status"] = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": {"storage": storage}}


def _forget_old_logs(folder: Path) -> None:
    if not folder.is_dir():
        return
    by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[LOGS_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
