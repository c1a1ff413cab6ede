"""The life of one pod on this node: volumes, init containers, containers, deadline, deletion."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kube import clock
from sandbox.kube.node import network
from sandbox.kube.node.container import Container
from sandbox.kube.node.podstatus import conditions, phase
from sandbox.kube.node.references import Environment
from sandbox.kube.node.volumes import MountError, Volumes
from sandbox.kube.objects import kinds
from sandbox.kube.objects.store import Object

if TYPE_CHECKING:
    from sandbox.kube.node.kubelet import Kubelet

MOUNT_RETRY = 1.0


class Pod:
    """One pod. ``run`` is its whole life up to success or failure; ``stop`` ends it early."""

    def __init__(self, node: Kubelet, obj: Object, address: str) -> None:
        self.node = node
        self.object = obj
        self.address = address
        self.name: str = obj["metadata"]["name"]
        self.namespace: str = obj["metadata"]["namespace"]
        self.uid: str = obj["metadata"]["uid"]
        self.spec: Object = obj["spec"]
        # Short, because sockets below TMPDIR must fit into 107 bytes.
        self.folder: Path = node.root / "pods" / self.uid[:8]
        self.log_folder: Path = node.root / "logs" / f"{self.namespace}_{self.name}_{self.uid[:8]}"
        self.environment = Environment(node.store, obj, address)
        self.volumes = Volumes(obj, self.environment, self.folder / "v", node.claims)
        self.inits = [Container(self, spec, init=True) for spec in self.spec.get("initContainers", [])]
        self.mains = [Container(self, spec, init=False) for spec in self.spec["containers"]]
        self.failure: Object = {}
        self.forced = asyncio.Event()
        self.finished = asyncio.Event()
        self._stop = asyncio.Event()
        self._started = clock.now()
        if self.inits:
            for container in self.mains:
                container.state.state = {"waiting": {"reason": "PodInitializing"}}

    @property
    def stopping(self) -> bool:
        """Whether the pod is being ended from outside."""
        return self._stop.is_set()

    @property
    def containers(self) -> list[Container]:
        """Init containers, then the others."""
        return [*self.inits, *self.mains]

    def event(self, type_: str, reason: str, message: str, field: str = "") -> None:
        """Record an event about this pod."""
        self.node.recorder.record(self.object, type_, reason, message, component="kubelet", field=field)

    async def sleep(self, seconds: float) -> None:
        """Wait, or return at once when the pod is being ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def run(self) -> None:
        """Everything up to the end of the last container."""
        deadline = self.spec.get("activeDeadlineSeconds")
        watcher = asyncio.create_task(self._deadline(deadline)) if deadline else None
        try:
            self.publish()
            await self._mount()
            for container in self.inits:
                if not await container.run():
                    return
            if not self.stopping:
                self._say_which_ports_are_in_use()
                await asyncio.gather(*(container.run() for container in self.mains))
        finally:
            if watcher:
                watcher.cancel()
            self.publish()

    def _say_which_ports_are_in_use(self) -> None:
        """Pods share the machine's ports with every program that listens on all addresses; on a cluster they do not."""
        for container in self.mains:
            for port in container.spec.get("ports", []):
                number = port["containerPort"]
                if network.in_use(self.address, number):
                    text = (
                        f"port {number} is in use on every address of this machine, {self.address} too, by a program "
                        "outside the sandbox: stop it, or have it listen on 127.0.0.1 alone"
                    )
                    self.event("Warning", "PortInUse", text, container.field)

    async def _mount(self) -> None:
        while not self.stopping:
            try:
                self.volumes.prepare()
                return
            except MountError as error:
                self.event("Warning", "FailedMount", str(error))
                await self.sleep(MOUNT_RETRY)

    async def _deadline(self, seconds: int) -> None:
        await asyncio.sleep(seconds)
        message = "Pod was active on the node longer than the specified deadline"
        self.failure = {"phase": "Failed", "reason": "DeadlineExceeded", "message": message}
        self.event("Normal", "DeadlineExceeded", message)
        await self.stop(self.spec["terminationGracePeriodSeconds"])

    async def stop(self, grace: float, *, hooks: bool = True) -> None:
        """End every container within ``grace`` seconds. Called again with 0, it hurries the first call up."""
        first = not self.stopping
        self._stop.set()
        if grace <= 0:
            self.forced.set()
        running = [container for container in self.containers if container.process]
        if first:
            for container in running:
                self.event("Normal", "Killing", f"Stopping container {container.name}", container.field)
        deadline = time.monotonic() + grace
        await asyncio.gather(*(container.stop(deadline, hooks=hooks) for container in running))

    def publish(self) -> None:
        """Write the pod's status when it changed."""
        current = self.node.store.find(kinds.POD, self.namespace, self.name)
        if current is None or current["metadata"]["uid"] != self.uid:
            return
        former = current.get("status") or {}
        inits, mains = [c.state for c in self.inits], [c.state for c in self.mains]
        current_phase = self.failure.get("phase") or phase(inits, mains, self.spec["restartPolicy"])
        status: Object = {
            "phase": current_phase,
            "conditions": conditions(former.get("conditions", []), inits, mains, current_phase),
            "hostIP": self.node.network.host,
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self._started,
            "qosClass": "BestEffort",
            "containerStatuses": [state.status() for state in mains],
            **self.failure,
        }
        if inits:
            status["initContainerStatuses"] = [state.status() for state in inits]
        self.object = self.node.store.put(kinds.POD, {**current, "status": status})
        if current_phase != "Pending" or any(
            "waiting" in c.state and c.state["waiting"]["reason"] not in ("ContainerCreating", "PodInitializing")
            for c in (*inits, *mains)
        ):
            self.node.left_pending(self.uid)

    def clean(self) -> None:
        """Remove the pod's folder; logs and claims stay."""
        shutil.rmtree(self.folder, ignore_errors=True)
