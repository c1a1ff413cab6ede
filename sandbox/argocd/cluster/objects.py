"""An Application's objects: what Git wants beside what is live, and the status entries that follow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from sandbox.argocd.cluster import compare, health
from sandbox.argocd.cluster.kube import KubeApi, Manifest, Resource

WAVE = "argocd.argoproj.io/sync-wave"
OPTIONS = "argocd.argoproj.io/sync-options"
COMPARE = "argocd.argoproj.io/compare-options"
# The order in which kinds are applied within a wave, as Argo CD's; what is not listed comes last.
KINDS = ("Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount", "Secret",
         "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition",
         "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service", "DaemonSet", "Pod", "ReplicaSet",
         "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob")  # fmt: skip


@dataclass(frozen=True)
class ManagedObject:
    """One object: ``desired`` is None for one that is to be pruned, ``live`` is None for one that is missing."""

    resource: Resource
    namespace: str | None
    name: str
    desired: Manifest | None
    live: Manifest | None

    @property
    def synced(self) -> bool:
        """Whether what is live is what Git wants."""
        return self.desired is not None and self.live is not None and not compare.differs(self.desired, self.live)

    @property
    def prune(self) -> bool:
        """Whether Git no longer has it."""
        return self.desired is None

    @property
    def health(self) -> health.Health | None:
        """Its health; None where its kind has none."""
        if self.live is not None:
            return health.of(self.live)
        return health.Health("Missing") if self.desired and health.has_check(self.desired) else None

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Where it stands in a sync: wave, kind, name."""
        manifest = self.desired or self.live or {}
        kind = KINDS.index(self.resource.kind) if self.resource.kind in KINDS else len(KINDS)
        return wave(manifest), kind, self.namespace or "", self.name

    def entry(self) -> Manifest:
        """As ``status.resources`` holds it: Argo CD 3 keeps each object's health in the tree that its UI shows."""
        entry = {**identity(self), "status": "Synced" if self.synced else "OutOfSync"}
        if self.prune:
            entry["requiresPruning"] = True
        if (self.order[0]) != 0:
            entry["syncWave"] = self.order[0]
        return entry

    def forbids(self, option: str) -> bool:
        """Whether the object itself says, for example, Prune=false."""
        return self._says(OPTIONS, f"{option}=false")

    @property
    def extraneous(self) -> bool:
        """Whether it is no longer in Git and asks that this be no difference: the Application is synced with it."""
        return self.prune and self._says(COMPARE, "IgnoreExtraneous")

    def _says(self, annotation: str, word: str) -> bool:
        manifest = self.live or self.desired or {}
        text = (manifest["metadata"].get("annotations") or {}).get(annotation, "")
        return word in [part.strip() for part in text.split(",")]


def health_of_all(items: list[ManagedObject]) -> health.Health:
    """An Application's health: that of its worst live object. What is missing counts only if all is."""
    if items and not any(item.live for item in items):
        return health.Health("Missing")
    return health.worst([item.health for item in items if item.live and item.health])


def wave(manifest: Manifest) -> int:
    """The sync wave of an object; 0 unless it says another."""
    text = ((manifest.get("metadata") or {}).get("annotations") or {}).get(WAVE, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def identity(item: ManagedObject) -> Manifest:
    """Group, version, kind, namespace and name as status entries have them."""
    return {key: value for key, value in all_of_identity(item).items() if value}


def all_of_identity(item: ManagedObject) -> Manifest:
    """The same, with what is empty too, as a sync's result must have it."""
    version = item.resource.api_version.rpartition("/")[2]
    return {"group": item.resource.group, "version": version, "kind": item.resource.kind,
             "namespace": item.namespace or "", "name": item.name}  # fmt: skip


def tracking_id(app: str, resource: Resource, namespace: str | None, name: str) -> str:
    """Argo CD's annotation on each object that an Application manages."""
    return f"{app}:{resource.group}/{resource.kind}:{namespace or ''}/{name}"


def tracked_by(manifest: Manifest) -> str:
    """The name of the Application that manages a live object; empty for none."""
    text = (manifest["metadata"].get("annotations") or {}).get(compare.TRACKING, "")
    return str(text).partition(":")[0]


async def complete(api: KubeApi, app: str, namespace: str, manifests: list[Manifest]) -> list[Manifest]:
    """The manifests with their namespace and the tracking annotation."""
    result = []
    for manifest in manifests:
        resource = await api.resource(manifest["apiVersion"], manifest["kind"])
        meta = dict(manifest["metadata"])
        if resource.namespaced:
            meta["namespace"] = meta.get("namespace") or namespace
        else:
            meta.pop("namespace", None)
        tracking = tracking_id(app, resource, meta.get("namespace"), meta["name"])
        meta["annotations"] = {**(meta.get("annotations") or {}), compare.TRACKING: tracking}
        result.append({**manifest, "metadata": meta})
    return result


async def observe(api: KubeApi, app: str, desired: list[Manifest], known: list[Manifest]) -> list[ManagedObject]:
    """Read what is live. ``known`` are former status entries: what is ours but no longer desired is for pruning."""
    wanted = [(await api.resource(m["apiVersion"], m["kind"]), m) for m in desired]
    lives = await asyncio.gather(
        *(api.get(r, m["metadata"].get("namespace"), m["metadata"]["name"]) for r, m in wanted)
    )
    items = [
        ManagedObject(resource, manifest["metadata"].get("namespace"), manifest["metadata"]["name"], manifest, live)
        for (resource, manifest), live in zip(wanted, lives, strict=True)
    ]
    seen = {(item.resource.group, item.resource.kind, item.namespace, item.name) for item in items}
    for entry in known:
        group = entry.get("group", "")
        namespace = entry.get("namespace") or None
        key = (group, entry["kind"], namespace, entry["name"])
        if key in seen:
            continue
        seen.add(key)
        version = f"{group}/{entry['version']}" if group else entry["version"]
        resource = await api.resource(version, entry["kind"])
        live = await api.get(resource, namespace, entry["name"])
        if live is not None and tracked_by(live) == app:
            items.append(ManagedObject(resource, namespace, entry["name"], None, live))
    return items


def images(items: list[ManagedObject]) -> list[str]:
    """Every container image of the live objects."""
    found: set[str] = set()
    for item in items:
        spec: Any = ((item.live or {}).get("spec") or {}).get("template", {}).get("spec") or {}
        for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
            found.add(container["image"])
    return sorted(found)
