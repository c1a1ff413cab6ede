"""One sync operation: apply by waves, then prune, and say for each object how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from sandbox.argocd.application.project import Project
from sandbox.argocd.application.spec import AppSpec
from sandbox.argocd.cluster.health import worst
from sandbox.argocd.cluster.kube import NAMESPACES, KubeApi, Manifest
from sandbox.argocd.cluster.objects import ManagedObject, all_of_identity
from sandbox.argocd.errors import ApiError, ArgoError

log = logging.getLogger("argocd.sync")
WAVE_TIMEOUT = 600.0


@dataclass
class Result:
    """How a sync went: Succeeded or Failed, why, and object by object."""

    phase: str = "Succeeded"
    message: str = "successfully synced (all tasks run)"
    resources: list[Manifest] = field(default_factory=list)

    def add(self, item: ManagedObject, status: str, message: str) -> None:
        """Note one object's outcome: Synced, SyncFailed, Pruned or PruneSkipped."""
        entry = {**all_of_identity(item), "status": status, "message": message, "syncPhase": "Sync"}
        self.resources.append(entry)
        if status == "SyncFailed":
            self.phase = "Failed"
            self.message = f"one or more objects failed to apply, reason: {message}"


class Sync:
    """Brings the cluster to what Git wants."""

    def __init__(
        self,
        api: KubeApi,
        project: Project,
        spec: AppSpec,
        server: str,
        observe: Callable[[], Awaitable[list[ManagedObject]]],
    ) -> None:
        self._api = api
        self._project = project
        self._spec = spec
        self._server = server
        self._observe = observe

    async def run(self, items: list[ManagedObject]) -> Result:
        """Carry it out. Never raises for what the API server or the project refuses; the result says it."""
        result = Result()
        wanted = sorted((item for item in items if not item.prune), key=attrgetter("order"))
        try:
            for item in wanted:
                self._project.check_resource(item.resource, self._server, item.namespace)
            await self._namespace()
        except ArgoError as error:
            return Result("Failed", str(error))
        waves = [list(group) for _, group in groupby(wanted, key=lambda item: item.order[0])]
        for number, group in enumerate(waves):
            for item in group:
                await self._apply(item, result)
            if result.phase == "Failed":
                return result
            if number < len(waves) - 1 and not await self._settled(group, result):
                return result
        for item in sorted((item for item in items if item.prune), key=attrgetter("order"), reverse=True):
            await self._remove(item, result)
        return result

    async def _namespace(self) -> None:
        """CreateNamespace=true: make the destination's namespace where there is none."""
        name = self._spec.destination.get("namespace")
        if not name or not self._spec.create_namespace() or await self._api.get(NAMESPACES, None, name):
            return
        self._project.check_resource(NAMESPACES, self._server, None)
        await self._api.apply(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def _apply(self, item: ManagedObject, result: Result) -> None:
        assert item.desired is not None
        try:
            await self._api.apply(item.resource, item.desired)
        except ApiError as error:
            result.add(item, "SyncFailed", str(error))
            return
        verb = "unchanged" if item.synced else "serverside-applied"
        result.add(item, "Synced", f"{item.resource.plural}/{item.name} {verb}")
        if not item.synced:
            log.info("applied %s %s/%s", item.resource.kind, item.namespace or "", item.name)

    async def _remove(self, item: ManagedObject, result: Result) -> None:
        if not self._spec.prune or item.forbids("Prune"):
            result.add(item, "PruneSkipped", "ignored (no prune)")
            return
        try:
            await self._api.delete(item.resource, item.namespace, item.name)
        except ApiError as error:
            result.add(item, "SyncFailed", str(error))
            return
        result.add(item, "Pruned", "pruned")
        log.info("pruned %s %s/%s", item.resource.kind, item.namespace or "", item.name)

    async def _settled(self, group: list[ManagedObject], result: Result) -> bool:
        """Wait until a wave's objects are healthy; False, and a failed result, if they degrade or it takes too long."""
        names = {(item.resource.kind, item.namespace, item.name) for item in group}
        for _ in range(int(WAVE_TIMEOUT)):
            live = [item for item in await self._observe() if (item.resource.kind, item.namespace, item.name) in names]
            health = worst([item.health for item in live if item.health])
            if health.status in ("Healthy", "Suspended"):
                return True
            if health.status == "Degraded":
                break
            await asyncio.sleep(1)
        result.phase = "Failed"
        result.message = (
            f"one or more synchronization tasks of wave {group[0].order[0]} are not healthy: {health.message}"
        )
        return False
